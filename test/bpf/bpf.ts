import t from 'tap'
import { attr, bpf, pinned } from '../../src/bpf/bpf.ts'

t.test('on a processor whose programs are not known nothing is begun, and it is said', async t => {
  const { arch } = process
  t.teardown(() => Object.defineProperty(process, 'arch', { value: arch }))
  Object.defineProperty(process, 'arch', { value: 's390x' })
  t.throws(() => bpf('BPF_MAP_CREATE', 0, attr()), { code: 'missing', message: /not for s390x/ })
})

t.test('what goes to the kernel stands where it says: numbers of 32 and 64 bits, and addresses', async t => {
  const memory = pinned(4)
  t.equal(memory.length, 4)
  const union = attr([0, 7], [8, 9n], [16, memory])
  const view = new DataView(union.buffer)
  t.equal(view.getUint32(0, true), 7)
  t.equal(view.getBigUint64(8, true), 9n)
  t.not(view.getBigUint64(16, true), 0n)
  t.ok(memory.buffer.byteLength >= 64, 'V8 leaves it where it is')
})
