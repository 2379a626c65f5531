"""The system calls that students' code may not use, as a filter that bubblewrap loads (seccomp).

Without them, nothing that a submission does can outlast its processes and files, and it can neither change other
processes nor hold memory that is not counted. The filter is made by libseccomp, which most systems have.
"""

import ctypes
import errno
import os
import tempfile
from functools import cache
from typing import IO

__all__ = ["FilterError", "system_call_filter"]

LIBRARY = "libseccomp.so.2"
ALLOW, REFUSE_WITH = 0x7FFF0000, 0x00050000
NOT_EQUAL, GREATER, ALL_OF = 1, 6, 7  # libseccomp's comparisons; ALL_OF is SCMP_CMP_MASKED_EQ
WORD = 0xFFFFFFFF  # the kernel reads these 32 bits of an argument only
FORBIDDEN = (
    # memory and data that remain, or that belong to no process
    *("add_key", "request_key", "keyctl", "memfd_create", "memfd_secret", "shmget", "msgget", "semget"),
    *("setxattr", "lsetxattr", "fsetxattr"),
    # other processes
    *("ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "pidfd_getfd", "kcmp"),
    *("move_pages", "migrate_pages", "setpriority", "ioprio_set"),
    # namespaces and mounts
    *("unshare", "setns", "mount", "umount2", "pivot_root", "open_tree", "fsopen", "move_mount", "mount_setattr"),
    # other ways into the kernel
    *("io_uring_setup", "bpf", "perf_event_open", "userfaultfd"),
)
# each user has few of these, and Python does without
PER_USER = ("epoll_create", "epoll_create1", "inotify_init", "inotify_init1", "fanotify_init", "io_setup")
ONLY_FOR_ITSELF = ("prlimit64", "sched_setaffinity", "sched_setscheduler", "sched_setparam", "sched_setattr")
NEW_NAMESPACES = (0x80, 0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000)  # CLONE_NEW…
SET_LEASE = 1024
BUFFERS = (7, 8, 32, 33)  # the sizes of a socket's buffers, whose memory belongs to no process
NEW = range(424, 512)  # numbers of recent calls, the same on all machines
UNIX, NETLINK = 1, 16  # the families of sockets that are allowed; the memory of TCP is one pool for the whole machine


class FilterError(Exception):
    """The filter could not be made. The message says why."""


class _Comparison(ctypes.Structure):
    """libseccomp's `struct scmp_arg_cmp`."""

    _fields_ = (
        ("argument", ctypes.c_uint),
        ("operator", ctypes.c_int),
        ("a", ctypes.c_uint64),
        ("b", ctypes.c_uint64),
    )


def system_call_filter() -> IO[bytes]:
    """The filter in a temporary file, to be read from its start.

    Raises:
        FilterError: libseccomp is missing, or does not know this machine.
    """
    file = tempfile.TemporaryFile()  # noqa: SIM115
    file.write(_filter())
    file.flush()
    file.seek(0)
    return file


@cache
def _filter() -> bytes:
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError as error:
        raise FilterError("libseccomp is not installed (apt install libseccomp2)") from error
    library.seccomp_init.restype = library.seccomp_syscall_resolve_num_arch.restype = ctypes.c_void_p
    rule_types = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint, ctypes.POINTER(_Comparison)]
    library.seccomp_rule_add_array.argtypes = rule_types
    library.seccomp_export_bpf.argtypes = [ctypes.c_void_p, ctypes.c_int]
    library.seccomp_release.argtypes = [ctypes.c_void_p]
    rules = library.seccomp_init(ALLOW)
    if not rules:
        raise FilterError("libseccomp does not work here")
    try:
        refused = [(library.seccomp_syscall_resolve_name(name.encode()), *how) for name, *how in _refused()]
        # of a call that is newer than the library nothing is known
        refused += [(n, errno.ENOSYS) for n in NEW if not library.seccomp_syscall_resolve_num_arch(0, n)]
        for number, error, *comparison in refused:
            given = (_Comparison * 1)(*comparison)
            known = number >= 0  # otherwise this library or machine has no such call
            if known and library.seccomp_rule_add_array(rules, REFUSE_WITH | error, number, len(comparison), given):
                raise FilterError(f"libseccomp makes no rule for system call {number} here")
        with tempfile.TemporaryFile() as file:
            if library.seccomp_export_bpf(rules, file.fileno()):
                raise FilterError("libseccomp gives no filter here")
            return os.pread(file.fileno(), 1 << 20, 0)
    finally:
        library.seccomp_release(rules)


def _refused():
    """The name of each call that is refused, the error that it gets, and for which argument, if not for all."""
    for name in FORBIDDEN:
        yield name, errno.EPERM
    for name in PER_USER:
        yield name, errno.ENOSYS
    for name in ONLY_FOR_ITSELF:  # the first argument is the process; 0 is the one that calls
        yield name, errno.EPERM, _Comparison(0, NOT_EQUAL, 0)
    yield "fcntl", errno.EPERM, _Comparison(1, ALL_OF, WORD, SET_LEASE)  # it would stop others who open Python's files
    for option in BUFFERS:
        yield "setsockopt", errno.EPERM, _Comparison(2, ALL_OF, WORD, option)
    yield "clone3", errno.ENOSYS  # its flags cannot be seen; the C library then uses `clone`
    for flag in NEW_NAMESPACES:
        yield "clone", errno.EPERM, _Comparison(0, ALL_OF, flag, flag)
    allowed = (UNIX, NETLINK)
    for call in ("socket", "socketpair"):
        for family in range(max(allowed)):
            if family not in allowed:
                yield call, errno.EAFNOSUPPORT, _Comparison(0, ALL_OF, WORD, family)
        yield call, errno.EAFNOSUPPORT, _Comparison(0, GREATER, max(allowed))
