import { constants } from 'node:os'
import t from 'tap'
import { errno, errnoName, errnoText, libc, must, SystemError } from '../../src/ffi/ffi.ts'

t.test('errno has its name and its words', async t => {
  t.equal(errnoName(constants.errno.EEXIST), 'EEXIST')
  t.equal(errnoName(9999), 'errno 9999')
  t.equal(errnoText(constants.errno.EEXIST), 'File exists (EEXIST)')
  t.match(errnoText(9999), /\(errno 9999\)$/)
})

t.test('a failed call is an error with its name and its code, or errno for who asks', async t => {
  t.throws(() => must('close', libc.close(-1)), {
    name: 'SystemError',
    code: 'EBADF',
    errno: constants.errno.EBADF,
    syscall: 'close',
    message: 'close: Bad file descriptor (EBADF)',
  })
  t.equal(libc.close(-1), -1)
  t.equal(errno(), constants.errno.EBADF)
  t.equal(must('nothing', 7), 7)
  t.ok(new SystemError('x', 1) instanceof Error)
})

t.test('every symbol of the table is in this libc', async t => {
  for (const [name, call] of Object.entries(libc)) t.type(call, 'function', name)
})

t.test('buffers are filled in place', async t => {
  const statfs = new Uint8Array(120)
  const fd = must('socket', libc.socket(1, 1, 0))
  t.equal(libc.fstatfs(fd, statfs), 0)
  libc.close(fd)
  t.ok(statfs.some(byte => byte !== 0))
})
