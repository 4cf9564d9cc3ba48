/**
 * Runs a command, at a fraction of what child_process costs.
 *
 * `posix_spawn(3)` shares our memory with the child until it executes, where fork would first copy the page
 * tables of a process as large as Node: half a millisecond against five to ten, which is more than most of
 * the commands we run take themselves.
 *
 * The child's ends of three pipes are its standard streams; ours do not block. It gets a session of its
 * own, so that a signal meant for us does not stop it halfway. While few run, waiting is `poll(2)` for a
 * millisecond at a time, between which the event loop goes on; while many run, it is a timer.
 */

import { closeSync } from 'node:fs'
import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import { errno, errnoName, libc, must, SystemError } from './ffi.ts'

export interface Finished {
  /** Exit code; 128 + the signal's number for a command that a signal ended. */
  code: number
  stdout: string
  stderr: string
}

export interface CommandOptions {
  stdin?: string
  /** The whole environment, as `NAME=value`. */
  env?: string[]
  /** Killed after this time. */
  withinMs: number
  /**
   * Come back with code 0 as soon as stdout holds this. Stdin stays open until then and a moment longer, so
   * that a command which reads to its end begins only later what it does after that.
   */
  until?: string
}

const O_CLOEXEC = 0x80000
const O_NONBLOCK = 0x800
const F_SETFL = 4
const POSIX_SPAWN_SETSID = 0x80
const WNOHANG = 1
const POLLIN = 1
const TURN_MS = 1

/** How long stdin stays open for a command that has said, or has still not said, what was waited for. */
const HOLD_MS = { said: 100, silent: 1000 }

/** Above this many commands at a time nobody may hold the event loop. */
const FEW = 2
let running = 0

/**
 * Runs a command to its end.
 * @param path absolute
 * @throws SystemError when it cannot be started
 */
export async function runCommand(path: string, args: string[], options: CommandOptions): Promise<Finished> {
  const { env = [], stdin = '', until, withinMs } = options
  const child = new Child(path, args, env, stdin)
  if (until === undefined) child.endInput()
  const began = performance.now()
  running++
  try {
    for (;;) {
      const open = child.pump()
      if (until !== undefined && child.stdout.includes(until)) {
        child.leave()
        return { code: 0, stdout: child.stdout, stderr: child.stderr }
      }
      const code = open ? undefined : child.reap()
      if (code !== undefined) {
        child.close()
        return { code, stdout: child.stdout, stderr: child.stderr }
      }
      const elapsedMs = performance.now() - began
      if (elapsedMs > HOLD_MS.silent) child.endInput()
      if (elapsedMs > withinMs) child.kill()
      if (running > FEW) await sleep(TURN_MS)
      else child.wait(TURN_MS)
      await setImmediate()
    }
  } catch (thrown) {
    child.close()
    throw thrown
  } finally {
    running--
  }
}

class Child {
  readonly #pid: number
  readonly #stdin: Pipe
  readonly #streams: Pipe[]
  #unsent: Uint8Array
  #inputEnds = false
  readonly #texts: Buffer[][] = [[], []]

  constructor(path: string, args: string[], env: string[], stdin: string) {
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
    this.#unsent = Buffer.from(stdin)
  }

  get stdout(): string {
    return Buffer.concat(this.#texts[0] ?? []).toString()
  }

  get stderr(): string {
    return Buffer.concat(this.#texts[1] ?? []).toString()
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

  /**
   * Leaves the child to itself. Its input ends with our process or a little later, and it is reaped in
   * passing, so that a long-lived process collects no zombies.
   */
  leave(): void {
    const later = setInterval(() => {
      this.close()
      if (this.reap() !== undefined) clearInterval(later)
    }, HOLD_MS.said).unref()
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
      closeSync(other)
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
    for (const fd of this.#open) closeSync(fd)
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
