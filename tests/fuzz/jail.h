/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_FUZZ_JAIL_H
#define NS3_QEMU_FUZZ_JAIL_H

#ifdef __cplusplus
extern "C"
{
#endif

    /**
     * Keep this process from changing anything of the host: it has a network of its own, is nobody,
     * writes only below the directories in FUZZ_WRITABLE (separated by ':'), starts no programs and
     * sends no signals. Ends the process if this host cannot do that.
     */
    void EnterJail(void);

#ifdef __cplusplus
}
#endif

#endif /* NS3_QEMU_FUZZ_JAIL_H */
