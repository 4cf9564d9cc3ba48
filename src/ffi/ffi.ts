/**
 * The C library, and the door to koffi: the only file that imports it.
 *
 * Each symbol is one row of one table: its C prototype. A symbol is bound when it is first called, since
 * parsing a prototype costs more than most calls. Buffers go in as typed arrays and are filled in place;
 * a call costs about 0.2 µs beyond the system call itself.
 *
 * Two ways to call: `libc.f(…)` returns what C returns and leaves errno to `errno()`, for loops that
 * expect EAGAIN; `must('f', libc.f(…))` throws a SystemError for -1.
 *
 * Variadic functions (`ioctl`, `fcntl`, `syscall`) are declared with the arguments we pass; on the Linux ABIs of the
 * platforms koffi serves, integers travel alike either way.
 */

import { constants } from 'node:os'
import koffi, { type LibraryHandle } from 'koffi'
import { exit } from './exit.ts'

/** A C `void *` argument: memory that the callee may read or fill; null where C takes NULL. */
export type Memory = Uint8Array | null

/** Memory of C's own. */
export type Pointer = bigint & { readonly isPointer: unique symbol }

/** Signatures as TypeScript sees them. */
export interface Libc {
  socket(domain: number, type: number, protocol: number): number
  bind(fd: number, address: Memory, length: number): number
  connect(fd: number, address: Memory, length: number): number
  listen(fd: number, backlog: number): number
  accept4(fd: number, address: Memory, length: Memory, flags: number): number
  shutdown(fd: number, how: number): number
  getsockname(fd: number, address: Memory, length: Memory): number
  setsockopt(fd: number, level: number, name: number, value: Memory, length: number): number
  getpeername(fd: number, address: Memory, length: Memory): number
  getsockopt(fd: number, level: number, name: number, value: Memory, length: Memory): number
  send(fd: number, data: Memory, length: number, flags: number): number
  sendto(fd: number, data: Memory, length: number, flags: number, to: Memory, toLength: number): number
  recv(fd: number, data: Memory, length: number, flags: number): number
  recvmmsg(fd: number, messages: Memory, count: number, flags: number, timeout: Memory): number
  sendmmsg(fd: number, messages: Memory, count: number, flags: number): number
  splice(from: number, fromAt: Memory, to: number, toAt: Memory, length: number, flags: number): number
  pipe2(fds: Memory, flags: number): number
  eventfd(initial: number, flags: number): number
  epoll_create1(flags: number): number
  epoll_ctl(epoll: number, operation: number, fd: number, event: Memory): number
  epoll_wait(epoll: number, events: Memory, count: number, timeoutMs: number): number
  openat(folder: number, name: string, flags: number): number
  statx(folder: number, path: string, flags: number, mask: number, file: Memory): number
  read(fd: number, data: Memory, length: number): number
  write(fd: number, data: Memory, length: number): number
  fcntl(fd: number, command: number, argument: number): number
  close(fd: number): number
  poll(fds: Memory, count: number, timeoutMs: number): number
  posix_spawn(
    pid: Memory,
    path: string,
    actions: Memory,
    attributes: Memory,
    argv: (string | null)[],
    env: (string | null)[],
  ): number
  posix_spawn_file_actions_init(actions: Memory): number
  posix_spawn_file_actions_adddup2(actions: Memory, fd: number, target: number): number
  posix_spawn_file_actions_destroy(actions: Memory): number
  posix_spawnattr_init(attributes: Memory): number
  posix_spawnattr_setflags(attributes: Memory, flags: number): number
  posix_spawnattr_destroy(attributes: Memory): number
  waitpid(pid: number, status: Memory, options: number): number
  setns(fd: number, nstype: number): number
  unshare(flags: number): number
  if_nametoindex(name: string): number
  ioctl(fd: number, request: number, argument: number): number
  flock(fd: number, operation: number): number
  inotify_init1(flags: number): number
  inotify_add_watch(fd: number, path: string, mask: number): number
  pidfd_open(pid: number, flags: number): number
  pidfd_getfd(pidfd: number, target: number, flags: number): number
  /** `handler`: 0 SIG_DFL, 1 SIG_IGN. */
  prctl(option: number, a: number, b: Memory, c: number, d: number): number
  capget(header: Memory, data: Memory): number
  capset(header: Memory, data: Memory): number
  signal(number: number, handler: bigint): bigint
  /** Ends the process at once: nothing is flushed, no exit handler runs. */
  _exit(status: number): void
  syscall(number: number, a: number, b: Memory, c: Memory, d: number): number
  /** bpf(2), for which libc has no function. */
  bpf(number: number, command: number, attr: Memory, size: number): number
  /** fsopen(2), fsconfig(2) and fsmount(2), which not every libc has functions for. */
  fsopen(number: number, name: string, flags: number): number
  fsconfig(number: number, fd: number, command: number, key: Memory, value: Memory, aux: number): number
  fsmount(number: number, fd: number, flags: number, attributes: number): number
  fstatfs(fd: number, buffer: Memory): number
  unlink(path: string): number
  opendir(path: string): Pointer | null
  readdir(folder: Pointer): Pointer | null
  closedir(folder: Pointer): number
  rmdir(path: string): number
  getrandom(buffer: Memory, length: number, flags: number): number
  malloc_trim(pad: number): number
  strerror(number: number): string
}

const prototypes: { [name in keyof Libc]: string } = {
  socket: 'int socket(int domain, int type, int protocol)',
  bind: 'int bind(int fd, const void *addr, unsigned int len)',
  connect: 'int connect(int fd, const void *addr, unsigned int len)',
  listen: 'int listen(int fd, int backlog)',
  accept4: 'int accept4(int fd, void *addr, void *len, int flags)',
  shutdown: 'int shutdown(int fd, int how)',
  getsockname: 'int getsockname(int fd, void *addr, void *len)',
  getpeername: 'int getpeername(int fd, void *addr, void *len)',
  setsockopt: 'int setsockopt(int fd, int level, int optname, const void *optval, unsigned int optlen)',
  getsockopt: 'int getsockopt(int fd, int level, int optname, void *optval, void *optlen)',
  send: 'int64_t send(int fd, const void *buf, size_t len, int flags)',
  sendto:
    'int64_t sendto(int fd, const void *buf, size_t len, int flags, const void *addr, unsigned int addrlen)',
  recv: 'int64_t recv(int fd, void *buf, size_t len, int flags)',
  recvmmsg: 'int recvmmsg(int fd, void *msgvec, unsigned int vlen, int flags, void *timeout)',
  sendmmsg: 'int sendmmsg(int fd, void *msgvec, unsigned int vlen, int flags)',
  splice: 'int64_t splice(int from, void *from_at, int to, void *to_at, size_t len, unsigned int flags)',
  pipe2: 'int pipe2(void *fds, int flags)',
  eventfd: 'int eventfd(unsigned int initial, int flags)',
  epoll_create1: 'int epoll_create1(int flags)',
  epoll_ctl: 'int epoll_ctl(int epoll, int op, int fd, void *event)',
  epoll_wait: 'int epoll_wait(int epoll, void *events, int count, int timeout)',
  openat: 'int openat(int dirfd, const char *name, int flags)',
  statx: 'int statx(int dirfd, const char *path, int flags, unsigned int mask, void *buf)',
  read: 'int64_t read(int fd, void *buf, size_t count)',
  write: 'int64_t write(int fd, const void *buf, size_t count)',
  fcntl: 'int fcntl(int fd, int command, long argument)',
  close: 'int close(int fd)',
  poll: 'int poll(void *fds, unsigned long count, int timeout)',
  posix_spawn:
    'int posix_spawn(void *pid, const char *path, void *actions, void *attr, const char **argv, const char **envp)',
  posix_spawn_file_actions_init: 'int posix_spawn_file_actions_init(void *actions)',
  posix_spawn_file_actions_adddup2: 'int posix_spawn_file_actions_adddup2(void *actions, int fd, int target)',
  posix_spawn_file_actions_destroy: 'int posix_spawn_file_actions_destroy(void *actions)',
  posix_spawnattr_init: 'int posix_spawnattr_init(void *attr)',
  posix_spawnattr_setflags: 'int posix_spawnattr_setflags(void *attr, short flags)',
  posix_spawnattr_destroy: 'int posix_spawnattr_destroy(void *attr)',
  waitpid: 'int waitpid(int pid, void *status, int options)',
  setns: 'int setns(int fd, int nstype)',
  unshare: 'int unshare(int flags)',
  if_nametoindex: 'unsigned int if_nametoindex(const char *name)',
  ioctl: 'int ioctl(int fd, unsigned long request, unsigned long argument)',
  flock: 'int flock(int fd, int operation)',
  inotify_init1: 'int inotify_init1(int flags)',
  inotify_add_watch: 'int inotify_add_watch(int fd, const char *pathname, uint32_t mask)',
  pidfd_open: 'int pidfd_open(int pid, unsigned int flags)',
  pidfd_getfd: 'int pidfd_getfd(int pidfd, int targetfd, unsigned int flags)',
  prctl: 'int prctl(int option, unsigned long a, const void *b, unsigned long c, unsigned long d)',
  capget: 'int capget(void *header, void *data)',
  capset: 'int capset(void *header, const void *data)',
  signal: 'intptr_t signal(int signum, intptr_t handler)',
  _exit: 'void _exit(int status)',
  syscall: 'long syscall(long number, long a, const void *b, const void *c, long d)',
  bpf: 'long syscall(long number, int command, void *attr, unsigned int size)',
  fsopen: 'long syscall(long number, const char *name, unsigned int flags)',
  fsconfig:
    'long syscall(long number, int fd, unsigned int command, const void *key, const void *value, int aux)',
  fsmount: 'long syscall(long number, int fd, unsigned int flags, unsigned int attributes)',
  fstatfs: 'int fstatfs(int fd, void *buf)',
  unlink: 'int unlink(const char *path)',
  opendir: 'void *opendir(const char *path)',
  readdir: 'void *readdir(void *folder)',
  closedir: 'int closedir(void *folder)',
  rmdir: 'int rmdir(const char *path)',
  getrandom: 'int64_t getrandom(void *buf, size_t len, unsigned int flags)',
  malloc_trim: 'int malloc_trim(size_t pad)',
  strerror: 'const char *strerror(int errnum)',
}

/** libc: the process has it loaded already, whichever one it is. */
export const libc: Libc = bindLazily<Libc>(prototypes)
exit.now = status => libc._exit(status)

/**
 * Calls a function of libc on a thread of Node's pool, for those that wait in the kernel. Its errno stays
 * with that thread.
 * @param args are not to be touched before it is done
 */
export const aside = <Name extends keyof Libc>(
  name: Name,
  ...args: Parameters<Libc[Name]>
): Promise<ReturnType<Libc[Name]>> =>
  new Promise((resolve, reject) => {
    const done = (error: unknown, result: ReturnType<Libc[Name]>): void => {
      if (error === null || error === undefined) resolve(result)
      else reject(error)
    }
    const symbol = libc[name] as unknown as { async: (...all: unknown[]) => void }
    symbol.async(...args, done)
  })

/** The functions of a table, each bound at its first call, which throws where the library lacks it. */
function bindLazily<Library extends object>(table: { [name in keyof Library]: string }): Library {
  let handle: LibraryHandle | undefined
  const library = {} as Library
  for (const symbol of Object.keys(table) as (keyof Library)[]) {
    Object.defineProperty(library, symbol, {
      configurable: true,
      enumerable: true,
      get() {
        handle ??= koffi.load(null)
        const value = handle.func(table[symbol])
        Object.defineProperty(library, symbol, { value, enumerable: true })
        return value
      },
    })
  }
  return library
}

/**
 * Where a buffer lies, for C structures that hold pointers. It stays there as long as the array lives.
 * Not for arrays under 64 bytes: V8 may move those.
 */
export const addressOf = (memory: Uint8Array): bigint => koffi.address(memory)

/** The text that ends with a zero, so many bytes behind where a pointer of C's leads. */
export const textAt = (pointer: Pointer, offset: number): string => koffi.decode(pointer, offset, 'char', -1)

/** errno of the last libc call of this thread. */
export const errno = (): number => koffi.errno()

// Two numbers have two names each; these are the ones that manuals use.
const { EWOULDBLOCK: _, ENOTSUP: __, ...numbers } = constants.errno
const names = new Map(Object.entries(numbers).map(([name, number]) => [number, name]))
names.set(85, 'ERESTART') // which Node leaves out

/** `EEXIST` for 17; `errno 999` for a number without a name. */
export const errnoName = (number: number): string => names.get(number) ?? `errno ${number}`

/** `File exists (EEXIST)` for 17. */
export const errnoText = (number: number): string => `${libc.strerror(number)} (${errnoName(number)})`

/** A system call failed. `code` is errno's name, as in Node's own errors. */
export class SystemError extends Error {
  override readonly name = 'SystemError'
  readonly errno: number
  readonly code: string
  readonly syscall: string

  constructor(syscall: string, number: number) {
    super(`${syscall}: ${errnoText(number)}`)
    this.errno = number
    this.code = errnoName(number)
    this.syscall = syscall
  }
}

/** The result of a system call, or the error it set. @throws SystemError for a negative result */
export function must(syscall: string, result: number): number {
  if (result < 0) throw new SystemError(syscall, errno())
  return result
}
