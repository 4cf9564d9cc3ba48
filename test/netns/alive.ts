/**
 * When a namespace counts as gone: not as long as anything that we can see keeps it.
 */

import { spawnSync } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import t from 'tap'
import { type Host, lab, waitFor } from 'tsnet/lab'
import { currentBootId, goneCheck, namespacesInUse, type RecordedNetns } from '../../src/netns/alive.ts'
import { isThere, openRecorded } from '../../src/netns/container.ts'
import { isRecorded, openNetns, tryOpenNetns } from '../../src/netns/netns.ts'
import { deadCheck } from '../../src/records/dead.ts'

/** A namespace on the host that the test process itself holds no descriptor of. */
async function addNamespace(host: Host, name: string): Promise<RecordedNetns> {
  const path = `/run/netns/${name}`
  const make = 'mkdir -p /run/netns && : >"$1" && unshare --net="$1" true && stat -L -c "%d %i" "$1"'
  const { stdout } = await host.run('sh', '-c', make, 'sh', path)
  const [dev = 0, ino = 0] = stdout.trim().split(' ').map(Number)
  return { path: host.path(path), dev, ino }
}

const removeNamespace = (host: Host, name: string) =>
  host.run('sh', '-c', 'umount -l "$1" && rm "$1"', 'sh', `/run/netns/${name}`)

const isGone = (recorded: RecordedNetns) => goneCheck()(recorded)

t.test('a namespace is gone when its only mount is, and not before', async t => {
  await using world = await lab()
  const host = await world.host('host')
  const pod = await addNamespace(host, 'pod')
  t.equal(isGone(pod), false, 'its path leads to it')
  t.equal(isGone({ ...pod, path: '/run/netns/nowhere' }), false, 'mounted where we would not look')
  await removeNamespace(host, 'pod')
  t.equal(isGone(pod), true)
})

t.test('a process keeps its namespace when the path is gone', async t => {
  await using world = await lab()
  const host = await world.host('host')
  const pod = await addNamespace(host, 'pod')
  const inside = host.start('nsenter', '--net=/run/netns/pod', 'sleep', '1000')
  await waitFor(() => inside.pid !== undefined && namespacesInUse().has(`net:[${pod.ino}]`), {
    what: 'the process to be inside',
  })
  await removeNamespace(host, 'pod')
  t.equal(isGone(pod), false)
  await inside.stop()
  await waitFor(() => isGone(pod), { what: 'the namespace to go with its last process' })
})

t.test('a descriptor keeps its namespace when the path is gone', async t => {
  await using world = await lab()
  const host = await world.host('host')
  const pod = await addNamespace(host, 'pod')
  const holder = host.start('sh', '-c', 'exec 9<"$1"; echo open; exec sleep 1000', 'sh', '/run/netns/pod')
  await waitFor(() => holder.stdout.includes('open'), { what: 'the descriptor to be open' })
  await removeNamespace(host, 'pod')
  t.equal(isGone(pod), false)
  await holder.stop()
  await waitFor(() => isGone(pod), { what: 'the namespace to go with its last descriptor' })
})

t.test('another namespace under the same path is not the one that was recorded', async t => {
  await using world = await lab()
  const host = await world.host('host')
  const first = await addNamespace(host, 'pod')
  // Kept until the second is made, so that the two inodes differ.
  const holder = host.start('sh', '-c', 'exec 9<"$1"; echo open; exec sleep 1000', 'sh', '/run/netns/pod')
  await waitFor(() => holder.stdout.includes('open'), { what: 'the descriptor to be open' })
  await removeNamespace(host, 'pod')
  const second = await addNamespace(host, 'pod')
  await holder.stop()
  await waitFor(() => isGone(first), { what: 'the first one to go' })
  t.equal(isGone(second), false)
})

t.test('a namespace that has got the number of one that is gone is another one', async t => {
  await using world = await lab()
  const host = await world.host('host')
  const identity = (place: RecordedNetns): RecordedNetns => {
    using netns = openNetns(place.path)
    return { path: place.path, ...netns.identity }
  }
  // The kernel gives the lowest number that is free, a moment after its namespace has gone, to whoever asks next.
  const gone = new Map<number, RecordedNetns>()
  const again = async (): Promise<[RecordedNetns, RecordedNetns] | undefined> => {
    const second = identity(await addNamespace(host, 'pod'))
    const first = gone.get(second.ino)
    if (first !== undefined) return [first, second]
    await removeNamespace(host, 'pod')
    gone.set(second.ino, second)
    return undefined
  }
  const [first, second] = await waitFor(again, { what: 'a number to be given again', withinMs: 120_000 })
  const { cookie, ...byNumber } = first
  t.match(cookie, /^\d+$/)
  t.equal(second.dev, first.dev)

  t.equal(isGone(first), true)
  t.equal(isGone(second), false)
  t.equal(isGone(byNumber), false, 'the control: by its number alone it lives')
  t.equal(isGone({ ...first, path: '/run/netns/nowhere' }), true, 'found through a mount')
  t.equal(isGone({ ...second, path: '/run/netns/nowhere' }), false)
  const later = new Date(Date.now() + 1_000).toISOString()
  t.equal(
    goneCheck()(first, new Date(0).toISOString()),
    true,
    'its file is younger than what was written down',
  )
  t.equal(goneCheck()(second, later), false, 'its file was there, and was its')
  // As after a clock that was set back between the two: what is gone was written down later than what is there.
  const made = { bootId: currentBootId(), netns: first, createdAt: later }
  t.equal(deadCheck({ isQuick: true })(made), false, 'the control: by the clock it lives')
  t.equal(deadCheck()(made), true, 'whatever the clock says')
  t.equal(deadCheck()({ ...made, netns: second }), false)
  t.equal(isThere(first), false)
  t.equal(isThere(second), true)
  t.equal(isThere(byNumber), true)
  using netns = openNetns(second.path)
  t.equal(isRecorded(netns, first), false)
  t.equal(isRecorded(netns, second), true)
  t.equal(openRecorded(first), undefined)
  using _open = openRecorded(second)
  t.ok(_open)
})

t.test('who is short of descriptors does not know, and takes nothing for gone', async t => {
  await using world = await lab()
  const host = await world.host('host')
  const pod = await addNamespace(host, 'pod')
  const limit = 200
  spawnSync('prlimit', ['--pid', String(process.pid), `--nofile=${limit}:`])
  const held: number[] = []
  try {
    for (;;) held.push(openSync('/dev/null', 'r'))
  } catch {
    t.throws(() => isGone({ ...pod, path: '/run/netns/nowhere' }), { code: 'EMFILE' })
    t.throws(() => tryOpenNetns(pod.path), { code: 'io' })
  } finally {
    for (const fd of held) closeSync(fd)
  }
  t.ok(held.length > 0 && held.length < limit, 'there was a limit')
  t.equal(isGone({ ...pod, path: '/run/netns/nowhere' }), false)
})
