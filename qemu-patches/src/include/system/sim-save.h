/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * Saving a simulated machine, so that others can start from where it is: the state of its devices
 * and CPUs goes into a file; its memory stays in the file that it is mapped from.
 */
#ifndef SYSTEM_SIM_SAVE_H
#define SYSTEM_SIM_SAVE_H

/* How it ended. Called in the main loop's thread, BQL held; the machine is stopped by then. */
typedef void SimSaveDone(bool saved);

/* Save the machine into @path. The guest must be halted, and must not run before @done. */
void sim_save(const char *path, SimSaveDone *done);

#endif
