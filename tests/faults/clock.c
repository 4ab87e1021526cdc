/* A library for LD_PRELOAD that shifts the system's clock for a process: by the nanoseconds in the first eight bytes of
   the file FAULTS_CLOCK, which can change at any time. Monotonic clocks are not shifted. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000LL

static const volatile long long *offset;
static int (*system_clock_gettime)(clockid_t, struct timespec *);

__attribute__((constructor)) static void open_file(void)
{
    const char *path = getenv("FAULTS_CLOCK");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *memory = MAP_FAILED;

    if (file >= 0) {
        memory = mmap(NULL, sizeof *offset, PROT_READ, MAP_SHARED, file, 0);
        close(file);
    }
    if (memory != MAP_FAILED)
        offset = memory;
}

int clock_gettime(clockid_t id, struct timespec *now)
{
    int result;
    long long nanoseconds;

    if (!system_clock_gettime)
        *(void **)&system_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    result = system_clock_gettime(id, now);
    if (result || !offset || (id != CLOCK_REALTIME && id != CLOCK_REALTIME_COARSE))
        return result;
    nanoseconds = now->tv_sec * SECOND + now->tv_nsec + *offset;
    now->tv_sec = nanoseconds / SECOND;
    now->tv_nsec = nanoseconds % SECOND;
    return 0;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    struct timespec precise;

    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &precise))
        return -1;
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *now)
{
    struct timespec precise;

    clock_gettime(CLOCK_REALTIME, &precise);
    if (now)
        *now = precise.tv_sec;
    return precise.tv_sec;
}
