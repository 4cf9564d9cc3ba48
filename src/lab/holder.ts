/**
 * The process that keeps a host alive: a shell in network, mount and pid namespaces of its own.
 *
 * It is the init of its pid namespace and ends when its stdin closes; every process of the host ends with
 * it, and with the last of them the namespaces. The test process holds the other end of that pipe, so
 * however it ends (`kill -9` too), nothing stays behind.
 *
 * `wait` makes the shell collect the children that daemons leave to init.
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { Socket } from 'node:net'
import { TsnetError } from '../model/errors.ts'
import { cleanEnvironment } from './command.ts'

/**
 * Makes the folders `$@` empty, in a shell. One that the machine does not have is made in an overlay over the
 * nearest parent that it has, so that the machine's own folder stays as it is.
 */
export const EMPTY_FOLDERS = `
for folder; do
  if [ ! -d "$folder" ]; then
    parent=$folder
    while [ ! -d "$parent" ]; do parent=\${parent%/*}; done
    if [ -z "$parent" ]; then echo "no parent of $folder exists" >&2; exit 1; fi
    layer=1
    while [ -d /run/.lab/$layer ]; do layer=$((layer + 1)); done
    mkdir /run/.lab/$layer /run/.lab/$layer/upper /run/.lab/$layer/work
    mount -t overlay -o "lowerdir=$parent,upperdir=/run/.lab/$layer/upper,workdir=/run/.lab/$layer/work" \\
      overlay "$parent"
    mkdir -p "$folder"
  fi
  mount -t tmpfs -o mode=755 tmpfs "$folder"
done
`

// /sys shows the network of the namespace that mounted it.
const SCRIPT = `
set -e
read -r pid rest </proc/self/stat
mount -t proc proc /proc
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/netns /run/.lab
if [ -d /sys/fs/cgroup ]; then mkdir /run/.lab/cgroup; mount --rbind /sys/fs/cgroup /run/.lab/cgroup; fi
mount -t sysfs sysfs /sys
if [ -d /run/.lab/cgroup ]; then
  mount --rbind /run/.lab/cgroup /sys/fs/cgroup; umount -l /run/.lab/cgroup; rmdir /run/.lab/cgroup
fi
${EMPTY_FOLDERS}
exec 3<&0
cat <&3 &
echo "$pid $!"
wait $!
`

export class Holder {
  /** Of the host's init, in our own pid namespace. */
  readonly pid: number
  /** In the host's pid namespace: the processes that are the holder. */
  readonly inner: readonly number[]
  readonly #child: ChildProcess

  constructor(child: ChildProcess, pid: number, watcher: number) {
    this.#child = child
    this.pid = pid
    this.inner = [1, watcher]
  }

  /** Ends the host with all its processes, and waits until they are gone. */
  async end(): Promise<void> {
    const { exitCode, signalCode } = this.#child
    if (exitCode !== null || signalCode !== null) return
    this.#child.ref()
    const ended = once(this.#child, 'exit')
    this.#child.stdin?.end()
    await ended
  }
}

/**
 * Makes the namespaces of a host.
 * @param folders absolute paths that shall be empty in the host
 * @throws TsnetError `missing` without `unshare`, `kernel` where namespaces cannot be made
 */
export async function startHolder(folders: readonly string[]): Promise<Holder> {
  const options = ['--mount', '--net', '--pid', '--fork', '--kill-child', '--propagation', 'private']
  const child = spawn('unshare', [...options, 'sh', '-c', SCRIPT, 'lab', ...folders], {
    env: cleanEnvironment(),
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  child.stdin.on('error', () => {})
  const pids = await new Promise<string>((resolve, reject) => {
    child.on('error', cause => {
      reject(new TsnetError('missing', 'unshare (util-linux) is needed to make namespaces', { cause }))
    })
    child.stdout.setEncoding('utf8').on('data', resolve)
    child.on('close', code => {
      reject(new TsnetError('kernel', `unshare ended with ${code}: ${said.trim()}. Namespaces need root`))
    })
  })
  // A forgotten host must not keep its test process alive.
  child.unref()
  for (const pipe of [child.stdin, child.stdout, child.stderr]) if (pipe instanceof Socket) pipe.unref()
  const [pid = 0, watcher = 0] = pids.split(' ').map(Number)
  return new Holder(child, pid, watcher)
}
