/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * Files, whole and in parts, and devices by their names.
 */
#ifndef FILES_H
#define FILES_H

#include "request.h"

#include <stdbool.h>
#include <stddef.h>

/* Reads a small text file into `text` (terminated, without line end). false: errno */
bool FileReadText(const char* path, char* text, size_t size);

/* The contents of a file in allocated memory, terminated; NULL: errno. */
char* FileReadWhole(const char* path, size_t* length);

/* The rest of an open file, as far as it fits into the reply; 0 or an errno. */
int FileReadReply(int fd, Request* request);

/* Opens a device by its class in sysfs and its name; makes its node if nothing else has. -1: errno
 */
int FileOpenDevice(const char* class, const char* name, int flags);

/* Writes all of it; 0 or an errno. */
int FileWriteAll(int fd, const uint8_t* data, size_t length);

/* Makes the directories on the path of a file. What cannot be made shows when the file is opened.
 */
void FileMakeParents(char* path);

int FileGet(Request* request);
int FilePut(Request* request);

#endif /* FILES_H */
