/**
 * A child process and the three pipes that are its standard streams, at a fraction of what child_process
 * costs.
 *
 * `posix_spawn(3)` shares our memory with the child until it executes, where fork would first copy the page
 * tables of a process as large as Node: half a millisecond against five to ten, which is more than most of
 * the commands we run take themselves. Our ends of the pipes do not block. The child gets a session of its
 * own, so that a signal meant for us does not stop it halfway.
 */

import { errno, errnoName, libc, must, SystemError } from './ffi.ts'

const O_CLOEXEC = 0x80000
const O_NONBLOCK = 0x800
const F_SETFL = 4
const POSIX_SPAWN_SETSID = 0x80
const WNOHANG = 1
const POLLIN = 1

/** How often it is looked whether a child that was left to itself has ended. */
const REAP_MS = 20

export class Child {
  readonly #pid: number
  readonly #stdin: Pipe
  readonly #streams: Pipe[]
  #unsent: Uint8Array = new Uint8Array()
  #inputEnds = false
  readonly #texts: Buffer[][] = [[], []]

  constructor(path: string, args: string[], env: string[]) {
    const pipes = [new Pipe(), new Pipe(), new Pipe()]
    try {
      this.#pid = spawn(
        path,
        [path, ...args],
        env,
        pipes.map((pipe, i) => (i === 0 ? pipe.out : pipe.in)),
      )
    } catch (thrown) {
      for (const pipe of pipes) pipe.close()
      throw thrown
    }
    const [input, ...outputs] = pipes as [Pipe, Pipe, Pipe]
    input.keep(input.in)
    for (const output of outputs) output.keep(output.out)
    this.#stdin = input
    this.#streams = outputs
  }

  get stdout(): string {
    return Buffer.concat(this.#texts[0] ?? []).toString()
  }

  get stderr(): string {
    return Buffer.concat(this.#texts[1] ?? []).toString()
  }

  /** Gives it more to read. */
  feed(text: string): void {
    this.#unsent = Buffer.concat([this.#unsent, Buffer.from(text)])
  }

  /** Forgets what it has said. */
  forget(): void {
    for (const chunks of this.#texts) chunks.length = 0
  }

  /** Moves what can be moved now. False: the child has closed its streams. */
  pump(): boolean {
    if (this.#stdin.isOpen) this.#send()
    for (const [i, stream] of this.#streams.entries()) {
      if (stream.isOpen && !stream.readInto(this.#texts[i] ?? [])) stream.close()
    }
    return this.#streams.some(stream => stream.isOpen)
  }

  #send(): void {
    while (this.#unsent.length > 0) {
      const length = libc.write(this.#stdin.in, this.#unsent, this.#unsent.length)
      if (length < 0) {
        // A child that reads no more says why on stderr.
        if (errnoName(errno()) !== 'EAGAIN') break
        return
      }
      this.#unsent = this.#unsent.subarray(length)
    }
    this.#unsent = this.#unsent.subarray(this.#unsent.length)
    if (this.#inputEnds) this.#stdin.close()
  }

  /** What was given is all there is. */
  endInput(): void {
    this.#inputEnds = true
  }

  /** Until there is something to read, or time is up. */
  wait(ms: number): void {
    const open = this.#streams.filter(stream => stream.isOpen)
    const fds = new Int32Array(open.flatMap(stream => [stream.out, POLLIN])) // struct pollfd
    libc.poll(new Uint8Array(fds.buffer), open.length, ms)
  }

  /** The exit code, once there is one. */
  reap(): number | undefined {
    const status = new Int32Array(1)
    if (must('waitpid', libc.waitpid(this.#pid, new Uint8Array(status.buffer), WNOHANG)) === 0)
      return undefined
    const [value = 0] = status
    const signal = value & 0x7f
    return signal === 0 ? (value >> 8) & 0xff : 128 + signal
  }

  /** With all that it has started: they share its streams. */
  kill(): void {
    process.kill(-this.#pid, 'SIGKILL')
  }

  /** Ends its input and leaves it to itself; it is reaped in passing, so that no zombies are collected. */
  leave(): void {
    this.close()
    const later = setInterval(() => {
      if (this.reap() !== undefined) clearInterval(later)
    }, REAP_MS).unref()
  }

  close(): void {
    for (const pipe of [this.#stdin, ...this.#streams]) pipe.close()
  }
}

/** Both ends of a pipe, until one of them is the child's. */
class Pipe {
  /** Where is read. */
  readonly out: number
  /** Where is written. */
  readonly in: number
  readonly #open: Set<number>

  constructor() {
    const fds = new Int32Array(2)
    must('pipe2', libc.pipe2(new Uint8Array(fds.buffer), O_CLOEXEC))
    ;[this.out, this.in] = fds as unknown as [number, number]
    this.#open = new Set(fds)
  }

  get isOpen(): boolean {
    return this.#open.size > 0
  }

  /** Closes the other end here; this one does not block from now on. */
  keep(fd: number): void {
    for (const other of [...this.#open].filter(number => number !== fd)) {
      libc.close(other)
      this.#open.delete(other)
    }
    must('fcntl', libc.fcntl(fd, F_SETFL, O_NONBLOCK))
  }

  /** Reads all that is there. False: nothing will come any more. */
  readInto(chunks: Buffer[]): boolean {
    for (;;) {
      const buffer = Buffer.allocUnsafe(16 * 1024)
      const length = libc.read(this.out, buffer, buffer.length)
      if (length < 0) return ['EAGAIN', 'EINTR'].includes(errnoName(errno()))
      if (length === 0) return false
      chunks.push(buffer.subarray(0, length))
    }
  }

  close(): void {
    for (const fd of this.#open) libc.close(fd)
    this.#open.clear()
  }
}

// Both are smaller than this in glibc and musl.
const OPAQUE_BYTES = 512

function spawn(path: string, argv: string[], env: string[], streams: number[]): number {
  const actions = new Uint8Array(OPAQUE_BYTES)
  const attributes = new Uint8Array(OPAQUE_BYTES)
  const check = (what: string, number: number): void => {
    if (number !== 0) throw new SystemError(what, number)
  }
  check('posix_spawn_file_actions_init', libc.posix_spawn_file_actions_init(actions))
  check('posix_spawnattr_init', libc.posix_spawnattr_init(attributes))
  try {
    for (const [target, fd] of streams.entries()) {
      check('posix_spawn_file_actions_adddup2', libc.posix_spawn_file_actions_adddup2(actions, fd, target))
    }
    check('posix_spawnattr_setflags', libc.posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSID))
    const pid = new Int32Array(1)
    const started = libc.posix_spawn(
      new Uint8Array(pid.buffer),
      path,
      actions,
      attributes,
      [...argv, null],
      [...env, null],
    )
    check(`starting ${path}`, started)
    return pid[0] ?? 0
  } finally {
    libc.posix_spawn_file_actions_destroy(actions)
    libc.posix_spawnattr_destroy(attributes)
  }
}
