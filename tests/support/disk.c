/* A disk that is slow or broken, for LD_PRELOAD: every fsync and fdatasync of the process goes through here.
 *
 * DISK_DELAY_MS: how long each one takes at least.
 * DISK_FAULT: a file; while it exists, syncs fail with EIO. If it holds "once", the first one takes it away.
 * DISK_WAITED: a file that gets a byte for each sync which the main thread made: everybody waits for those.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int broken(void)
{
    const char *path = getenv("DISK_FAULT");
    char text[8] = "";
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

    if (fd < 0)
        return 0;
    (void)!read(fd, text, sizeof text - 1);
    close(fd);
    if (strcmp(text, "once") == 0)
        return unlink(path) == 0; /* of several threads, one fails */
    return 1;
}

static int sync_with(const char *name, int fd)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    const char *delay = getenv("DISK_DELAY_MS"), *waited = getenv("DISK_WAITED");

    if (waited && syscall(SYS_gettid) == getpid()) {
        int note = open(waited, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

        (void)!write(note, "s", 1);
        close(note);
    }
    if (broken()) {
        errno = EIO;
        return -1;
    }
    if (delay)
        usleep(1000 * (useconds_t)atoi(delay));
    return real(fd);
}

int fsync(int fd)
{
    return sync_with("fsync", fd);
}

int fdatasync(int fd)
{
    return sync_with("fdatasync", fd);
}
