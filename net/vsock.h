/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The host's end of a guest's virtual sockets (AF_VSOCK), as Unix sockets. A program of the host that connects to the socket PATH and writes
 * "CONNECT PORT\n" is connected to that port of the guest, and gets "OK HOSTPORT\n" when the guest has accepted. A guest's connection to port P of
 * the host goes to whoever listens at PATH_P. It is the protocol that Firecracker and Cloud Hypervisor document.
 *
 * A thread waits for all sockets; the device reads and writes them itself, and is called when one is ready. All functions: net_set_lock()'s lock
 * held, and it is held when the device is called.
 */
#ifndef NET_VSOCK_H
#define NET_VSOCK_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

typedef struct VsockHost VsockHost;
typedef struct VsockStream VsockStream;

enum { VSOCK_READABLE = 1, VSOCK_WRITABLE = 2, VSOCK_GONE = 4 };

typedef struct VsockOps {
    /* Somebody wants port @port of the guest. @stream is the device's from now on. */
    void (*connect)(void *opaque, VsockStream *stream, uint32_t port);
    /* A stream with @user is ready (VSOCK_*), which is said once for each read or write that had to wait. VSOCK_GONE: the other end neither reads
     * nor writes any more; what it wrote before can still be read. */
    void (*ready)(void *opaque, void *user, unsigned what);
    /* No further stream is ready now. */
    void (*done)(void *opaque);
} VsockOps;

/* Listens at @path and starts the thread. The error begins with the path. */
VsockHost *vsock_new(const char *path, const VsockOps *ops, void *opaque, GError **error);
/* Closes all streams, too. The device is not called any more. */
void vsock_free(VsockHost *h);
/* At the program's end, the lock not held: removes the sockets' files and ends the threads. */
void vsock_cleanup(void);
/* There is one: sockets are made and their files removed while the machine runs. */
bool vsock_is_used(void);

/* Connects to whoever listens for the guest at @port; NULL: nobody does. */
VsockStream *vsock_open(VsockHost *h, uint32_t port);
/* What ready() gets. */
void vsock_set_user(VsockStream *s, void *user);
/* The guest has accepted a connection of connect(); it comes from @host_port, as the guest sees it. */
void vsock_accept(VsockStream *s, uint32_t host_port);
/* Bytes read, 0 at the end; -1: none yet, ready() will be called. */
ssize_t vsock_read(VsockStream *s, const struct iovec *iov, int n);
/* Bytes written, 0: there is no room now, ready() will be called; -1: the other end reads no more. */
ssize_t vsock_write(VsockStream *s, const struct iovec *iov, int n);
/* The guest will not read, or write, any more. */
void vsock_shut(VsockStream *s, bool read, bool write);
/* Closes and frees. */
void vsock_close(VsockStream *s);

#endif
