/* Lets the simulator's threads give way to one another; preloaded into the process that has it.
 *
 * Each engine of the chip is a thread that looks for work in a loop: it takes a lock, looks, and never sleeps. With more
 * engines than processors, the one that has work waits while the others use up their slices of time, and a pass takes
 * twenty times as long as its arithmetic; an idle simulator takes a processor. A thread at work takes few locks.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <time.h>

enum { LOCKS_A_TURN = 64, NAP_NS = 500000 };

int pthread_mutex_lock(pthread_mutex_t *mutex)
{
    static int (*take)(pthread_mutex_t *);
    static __thread unsigned taken;
    if (!take)
        take = (int (*)(pthread_mutex_t *))dlsym(RTLD_NEXT, "pthread_mutex_lock");
    if (++taken % LOCKS_A_TURN == 0)
        nanosleep(&(struct timespec){.tv_nsec = NAP_NS}, NULL);
    return take(mutex);
}
