/**
 * ADD, at each of whose system calls that change something the system may say no: it fails and has changed nothing, or it
 * succeeds. strace gives the answer in place of the kernel.
 */

import { resolve } from 'node:path'
import t from 'tap'
import { ALL } from '../support/faults.ts'
import { NO_DAEMON } from '../support/no-daemon.ts'
import { BACKENDS, Scene } from '../support/scene.ts'

/** Calls, what they say, and which of them: every third of those into a namespace and back is one of either. */
const ERRORS: readonly [call: string, error: string, step: number][] = ALL
  ? [
      ['setns', 'ENOMEM', 1],
      ['rename', 'EIO', 1],
      ['socket', 'EMFILE', 1],
      ['sendto', 'ENOBUFS', 1],
    ]
  : [
      ['setns', 'ENOMEM', 3],
      ['rename', 'EIO', 3],
    ]

t.setTimeout(ALL ? 3_600_000 : 290_000)

for (const backend of BACKENDS) {
  t.test(`${backend}: an ADD that the system fails in the middle has changed nothing`, async t => {
    const scene = await Scene.open(backend, 'a')
    t.teardown(() => scene.close())
    const front = scene.network('front', 10, { macspoofchk: true })
    const ports = [{ hostPort: 8080, containerPort: 80 }]
    // What only the first one ever makes (tables, the folder of the leases) is there from here on.
    await front.add(scene.get('a'), { ports })
    await front.delete(scene.get('a'), { ports })
    await scene.remember()
    let [points, failed] = [0, 0]
    for (const [call, error, step] of ERRORS) {
      for (let nth = 1; ; nth += step) {
        const inject = ['-e', `trace=${call}`, '-e', `inject=${call}:error=${error}:when=${nth}`]
        const log = `/run/strace.${call}`
        const { code, stdout, stderr } = await scene.host.run(
          ...['strace', '-f', '-qqq', '-o', log, ...inject, resolve('dist/bin/tsnet')],
          {
            mayFail: true,
            stdin: JSON.stringify({
              ...front.config,
              runtimeConfig: { portMappings: ports.map(port => ({ ...port, protocol: 'tcp' })) },
            }),
            env: {
              ...NO_DAEMON,
              TSNET_NAT: backend,
              CNI_COMMAND: 'ADD',
              CNI_CONTAINERID: 'a',
              CNI_NETNS: '/run/netns/a',
              CNI_IFNAME: 'eth0',
              CNI_PATH: '/nowhere',
            },
          },
        )
        const traced = (await scene.host.run('sh', '-c', `cat ${log}; rm ${log}`)).stdout
        const what = `${error} at ${call} ${nth}`
        if (code === 0) await front.delete(scene.get('a'), { ports })
        else {
          failed++
          const answer = JSON.parse(stdout || '{}') as { code?: number; msg?: string; details?: string }
          t.ok(answer.code !== undefined && answer.code !== 999, `${what}: ${stdout}${stderr}`)
          t.notMatch(answer.details, /\n +at /, `${what}: no stack`)
        }
        t.strictSame(await scene.residue(), [], `${what}, ended with ${code}`)
        if (!traced.includes('(INJECTED)')) break
        points++
      }
    }
    t.comment(`${points} points, of which ${failed} failed the ADD`)
    t.ok(failed > 3, 'control: ADD does fail')
  })
}
