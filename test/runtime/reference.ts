import t from 'tap'
import { parseReference } from '../../src/runtime/reference.ts'

t.test('a reference may name its runtime', async t => {
  t.same(parseReference('web'), { name: 'web' })
  t.same(parseReference('docker:web'), { runtime: 'docker', name: 'web' })
  t.same(parseReference('containerd:k8s.io/4f2a'), { runtime: 'containerd', name: 'k8s.io/4f2a' })
  t.same(parseReference('cri:shop/web-0'), { runtime: 'cri', name: 'shop/web-0' })
  t.same(parseReference('pid:812'), { runtime: 'pid', name: '812' })
  t.same(parseReference('netns:web'), { runtime: 'netns', name: 'web' })
  t.same(parseReference('netns:/proc/812/ns/net'), { runtime: 'netns', name: '/proc/812/ns/net' })
  t.same(parseReference('a:b'), { name: 'a:b' }, 'what is no runtime is part of the name')
})

t.test('a runtime with a typing error is no part of a name', async t => {
  for (const [text, meant] of [
    ['dokcer:web', 'docker:web'],
    ['Podman:web', 'podman:web'],
    ['containrd:k8s.io/4f', 'containerd:k8s.io/4f'],
  ] as const)
    t.throws(() => parseReference(text), { code: 'invalid-environment', message: `did you mean "${meant}"?` })
})

t.test('what can be no name is refused, and quoted', async t => {
  const names = [
    '',
    '-x',
    '--help',
    'a b',
    'a;b',
    '$(id)',
    'a\n',
    'a/../b',
    '../x',
    '.',
    'ä',
    'a'.repeat(256),
  ]
  const numbers = ['pid:', 'pid:0', 'pid:-1', 'pid:1x', 'pid:self', 'pid:99999999999']
  const namespaces = ['netns:', 'netns:.', 'netns:..', 'netns:a/b', 'netns:/a\0b', 'docker:', 'lxc:../web']
  for (const text of [...names, ...numbers, ...namespaces]) {
    const refused = { code: 'invalid-environment', message: `container ${JSON.stringify(text)}:` }
    t.throws(
      () => parseReference(text),
      { code: refused.code, message: new RegExp(refused.message.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')) },
      text,
    )
  }
})
