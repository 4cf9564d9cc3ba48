import { execFileSync } from 'node:child_process'
import t from 'tap'
import { command, onOff, settings } from '../../src/netlink/command.ts'

t.test('absent parts are left out, lists as a whole', async t => {
  t.equal(
    command('ip link set dev', 'web', ['mtu', 1500], ['address', undefined], undefined, false, 'up'),
    'ip link set dev web mtu 1500 up',
  )
  t.equal(command('ip link show', ['master', undefined]), 'ip link show')
})

t.test('what a shell would read as more than a word is quoted', async t => {
  const words = ['a b', "it's", '', '$(reboot)', 'x;y', '*', 'new\nline', '10.0.0.1/24', 'fe80::1%eth0']
  const line = command('printf "%s\\0"', ...words)
  t.strictSame(execFileSync('sh', ['-c', line], { encoding: 'utf8' }).split('\0').slice(0, -1), words)
  t.match(line, /10\.0\.0\.1\/24 fe80::1%eth0$/, 'addresses stay readable')
})

t.test('settings are spelled as ip spells them', async t => {
  const spelled = (values: object) => command('', ...settings(values, 'on', 'off')).trim()
  t.equal(spelled({ hairpin: true, isolated: false, learning: undefined }), 'hairpin on isolated off')
  t.equal(
    spelled({ groupForwardMask: 8, vlanFiltering: true, unicastFlood: false }),
    'group_fwd_mask 8 vlan_filtering on flood off',
  )
  t.strictSame(onOff('promisc', false), ['promisc', 'off'])
  t.equal(onOff('promisc', undefined), undefined)
})
