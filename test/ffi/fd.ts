import { closeSync, fstatSync, openSync } from 'node:fs'
import t from 'tap'
import { Fd } from '../../src/ffi/fd.ts'

const open = () => openSync('/dev/null', 'r')

t.test('a descriptor is closed once, and its number is given to nobody afterwards', async t => {
  const number = open()
  const fd = new Fd(number)
  t.equal(fd.number, number)
  fd.close()
  t.throws(() => fstatSync(number), { code: 'EBADF' })
  t.throws(() => fd.number, /the descriptor is closed/)

  // The kernel hands out the lowest free number: this is a stranger under the old one.
  const stranger = open()
  t.equal(stranger, number)
  fd.close()
  fd[Symbol.dispose]()
  t.ok(fstatSync(stranger).isCharacterDevice(), 'a second close leaves the stranger alone')
  closeSync(stranger)
})

t.test('a descriptor is closed at the end of its block, also when that throws', async t => {
  const number = open()
  t.throws(() => {
    using _fd = new Fd(number)
    throw new Error('on the way')
  }, /on the way/)
  t.throws(() => fstatSync(number), { code: 'EBADF' })
})
