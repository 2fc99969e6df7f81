/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * Whole directories: they are moved into others.
 */
#include "tree.h"

#include "files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Where paths are made longer as a tree is gone into. */
typedef struct Move
{
    char from[PATH_MAX];
    char to[PATH_MAX];
    bool replace;
} Move;

static int
Append(char* path, const char* name)
{
    const size_t length = strlen(path);
    const int more = snprintf(path + length, PATH_MAX - length, "/%s", name);
    return (size_t)more < PATH_MAX - length ? 0 : ENAMETOOLONG;
}

static int
SetOwnerAndMode(const char* path, const struct stat* status)
{
    if (lchown(path, status->st_uid, status->st_gid) != 0)
    {
        return errno;
    }
    /* The mode last: a change of owner takes set-ID bits away. */
    if (!S_ISLNK(status->st_mode) && chmod(path, status->st_mode & 07777) != 0)
    {
        return errno;
    }
    return 0;
}

static int
CopyFile(const Move* move)
{
    size_t length = 0;
    char* data = FileReadWhole(move->from, &length);
    if (!data)
    {
        return errno;
    }
    int error = 0;
    int fd = open(move->to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
    {
        error = errno;
    }
    else
    {
        error = FileWriteAll(fd, (const uint8_t*)data, length);
        (void)close(fd);
    }
    free(data);
    return error;
}

static int
CopyLink(const Move* move)
{
    char target[PATH_MAX];
    const ssize_t length = readlink(move->from, target, sizeof(target) - 1);
    if (length < 0)
    {
        return errno;
    }
    target[length] = '\0';
    return symlink(target, move->to) == 0 ? 0 : errno;
}

/* Anything but a directory. */
static int
MoveEntry(const Move* move, const struct stat* status)
{
    struct stat there;
    if (lstat(move->to, &there) == 0)
    {
        if (!move->replace)
        {
            return unlink(move->from) == 0 ? 0 : errno;
        }
        if (unlink(move->to) != 0)
        {
            return errno;
        }
    }
    int error = 0;
    if (S_ISREG(status->st_mode))
    {
        error = CopyFile(move);
    }
    else if (S_ISLNK(status->st_mode))
    {
        error = CopyLink(move);
    }
    else
    {
        error = mknod(move->to, status->st_mode, status->st_rdev) == 0 ? 0 : errno;
    }
    error = error != 0 ? error : SetOwnerAndMode(move->to, status);
    if (error == 0 && unlink(move->from) != 0)
    {
        error = errno;
    }
    return error;
}

static int MoveAll(Move* move);

static int
MoveDirectory(Move* move, const struct stat* status)
{
    struct stat there;
    if (stat(move->to, &there) == 0 && S_ISDIR(there.st_mode))
    {
        return MoveAll(move); /* the disk's own keeps its owner and mode */
    }
    if (mkdir(move->to, 0700) != 0)
    {
        return errno;
    }
    const int error = MoveAll(move);
    return error != 0 ? error : SetOwnerAndMode(move->to, status);
}

/* Returns the next of a directory's entries, or NULL at its end. */
static const struct dirent*
NextEntry(DIR* directory)
{
    const struct dirent* entry;
    do
    {
        entry = readdir(directory);
    } while (entry && (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0));
    return entry;
}

static int
MoveAll(Move* move)
{
    const size_t from = strlen(move->from);
    const size_t to = strlen(move->to);
    DIR* directory = opendir(move->from);
    if (!directory)
    {
        return errno;
    }
    int error = 0;
    const struct dirent* entry;
    while (error == 0 && (entry = NextEntry(directory)))
    {
        struct stat status;
        error = Append(move->from, entry->d_name);
        error = error != 0 ? error : Append(move->to, entry->d_name);
        if (error == 0 && lstat(move->from, &status) != 0)
        {
            error = errno;
        }
        if (error == 0)
        {
            error =
                S_ISDIR(status.st_mode) ? MoveDirectory(move, &status) : MoveEntry(move, &status);
        }
        move->from[from] = '\0';
        move->to[to] = '\0';
    }
    (void)closedir(directory);
    return error;
}

int
TreeMove(const char* from, const char* to, bool replace)
{
    static Move move;
    if (access(from, F_OK) != 0)
    {
        return 0;
    }
    (void)snprintf(move.from, sizeof(move.from), "%s", from);
    (void)snprintf(move.to, sizeof(move.to), "%s", to);
    move.replace = replace;
    return MoveAll(&move);
}
