/** Every block of README.md that somebody could type is run, as it stands there: here, or in runtimes.ts. */

import t from 'tap'
import { readDocument } from '../support/document.ts'
import { treeOf } from '../support/installing.ts'
import { block, blocks, openReader } from '../support/readme.ts'

t.setTimeout(600_000) // on a busy machine

const HERE = [
  'npm install && npm run demo',
  'npm install && npm test',
  'npm install && npm run build',
  'mkdir',
]
const IN_RUNTIMES = ['ctr run', '[network]', 'podman run', 'tsnet install --docker']

t.test('every block that could be typed is run by a test', async t => {
  const typed = blocks.filter(each =>
    /^(npm|mkdir|ln|cp|ctr|podman|docker|tsnet|sudo|node|cat|\[)/.test(each),
  )
  for (const each of typed)
    t.ok(
      [...HERE, ...IN_RUNTIMES].some(start => each.startsWith(start)),
      each,
    )
})

t.test('what README begins with is typed in the tutorial', async t => {
  const first = block('$ tsnet')
    .split('\n')
    .map(line => line.replace(/^\$ |\s+#.*$/g, ''))
  const typed = readDocument('docs/tutorial.md')
    .typed()
    .map(({ command }) => command)
  t.equal(first.length, 6)
  for (const each of first)
    t.ok(
      typed.some(command => `${command} `.startsWith(`${each} `)),
      each,
    )
})

t.test('the demo, and the tests', async t => {
  const reader = await openReader(t)
  t.match(await reader.type(block('npm install && npm run demo')), /nothing is left/)
  await reader.type(block('npm install && npm test'))
})

t.test('what is installed and what is done by hand are the same, in either order', async t => {
  const FOLDERS = ['/opt/cni', '/etc/cni']
  const holds = ({ host }: Awaited<ReturnType<typeof openReader>>) =>
    FOLDERS.map(folder => treeOf(host.path(folder)))
  const installing = await openReader(t)
  await installing.type(block('npm install && npm run build'))
  const byHand = await openReader(t)
  await byHand.type(block('mkdir'))
  t.same(holds(byHand), holds(installing))
  const before = holds(byHand)
  const said = await byHand.type(block('npm install && npm run build'))
  t.notMatch(said, /\/opt\/cni|\/etc\/cni/)
  t.same(holds(byHand), before)
  await byHand.type('tsnet uninstall')
  t.same(holds(byHand), before, 'what was there before stays')
})
