import t from 'tap'
import { totalIn } from '../../bench/system-calls.ts'

const TABLE = `% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 62.10    0.001287         321         4         3 wait4
 21.00    0.000434          39        11           mmap
  0.00    0.000000           0         2           prlimit64
------ ----------- ----------- --------- --------- ----------------
100.00    0.001721         101        17         3 total
`

t.test('calls of a table of strace are added up, with errors and without', async t => {
  t.equal(totalIn(TABLE), 17)
  t.equal(totalIn('100.00    0.000000           0        23           read\n'), 23)
})

t.test('a sum that lacks a column is no different', async t => {
  t.equal(totalIn(TABLE.replace('101        17         3 total', '           17           total')), 17)
})

t.test('a process that called nothing has no table', async t => {
  t.equal(totalIn(''), 0)
})
