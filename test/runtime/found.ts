import t from 'tap'
import { bestOf, type Found, referenceOf } from '../../src/runtime/found.ts'
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
