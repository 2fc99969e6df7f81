/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * Whole directories: they are moved into others.
 */
#ifndef TREE_H
#define TREE_H

#include <stdbool.h>

/* Moves all that is in a directory, which need not be there, into another ("": the root), possibly
 * of another file system; a directory that is there, or a link to one, takes what comes there.
 * `replace`: a file takes the place of what has its name; otherwise that stays, and the file is
 * dropped. 0 or an errno. */
int TreeMove(const char* from, const char* to, bool replace);

#endif /* TREE_H */
