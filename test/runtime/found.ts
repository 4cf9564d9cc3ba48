import t from 'tap'
import { bestOf, eachOnce, type Found, referenceOf, shortReference } from '../../src/runtime/found.ts'
import { longId } from '../support/runtime-files.ts'

const web: Found = { runtime: 'docker', id: longId('4f2a'), name: 'web' }
const db: Found = { runtime: 'podman', id: longId('4f2b'), name: 'db', aliases: ['base'] }
const task: Found = { runtime: 'runc', id: 'web-2', name: 'web-2' }
const pod: Found = { runtime: 'cri', id: longId('5a'), name: 'web', scope: 'shop' }
const k3s: Found = { runtime: 'containerd', id: longId('4f2c'), name: longId('4f2c'), scope: 'k8s.io' }
const all = [web, db, task, pod, k3s]

const names = (name: string) => bestOf(all, { name }).map(referenceOf)

t.test('names, aliases and whole ids fit before beginnings of ids', async t => {
  t.same(names('web'), ['docker:web', 'cri:shop/web'])
  t.same(names('base'), ['podman:db'])
  t.same(names(longId('4f2a')), ['docker:web'])
  t.same(names('4f2a'), ['docker:web'])
  t.same(names('4f2'), ['docker:web', 'podman:db', `containerd:k8s.io/${longId('4f2c')}`])
  t.same(names('nobody'), [])
})

t.test('only ids that machines made have beginnings that mean them', async t => {
  t.same(names('web-'), [])
  t.same(names('web-2'), ['runc:web-2'])
})

t.test('a scope chooses between equal names', async t => {
  t.same(names('shop/web'), ['cri:shop/web'])
  t.same(names('other/web'), [])
  t.same(names('k8s.io/4f'), [`containerd:k8s.io/${longId('4f2c')}`])
})

t.test('one container is listed once, and by the digits of its id only where it has no name', async t => {
  const id = longId('4f2a')
  const sandbox = longId('5a')
  const seen: Found[] = [
    web,
    { runtime: 'cri', id: sandbox, name: 'cart', scope: 'shop', pid: 7 },
    { runtime: 'cri', id: sandbox, name: 'cart', scope: 'shop', pid: 8 },
    { runtime: 'containerd', id, name: id, scope: 'moby', pid: 6 },
    { runtime: 'containerd', id: sandbox, name: sandbox, scope: 'k8s.io', pid: 7 },
    { runtime: 'containerd', id: longId('5b'), name: longId('5b'), scope: 'k8s.io', pid: 8 },
    { runtime: 'containerd', id: longId('6c'), name: longId('6c'), scope: 'k8s.io', pid: 9 },
    { runtime: 'runc', id: longId('7d'), name: longId('7d'), pid: 0 },
    { runtime: 'runc', id: 'task', name: 'task', pid: 0 },
  ]
  t.same(
    eachOnce(seen).map(each => shortReference(referenceOf(each))),
    [
      'docker:web',
      'cri:shop/cart',
      `containerd:k8s.io/${longId('6c').slice(0, 12)}`,
      `runc:${longId('7d').slice(0, 12)}`,
      'runc:task',
    ],
  )
})
