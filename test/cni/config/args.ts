import t from 'tap'
import { readArgs } from '../../../src/cni/config/args.ts'

const values = (text: string, tolerant = false) => {
  const { ips, mac, podName } = readArgs(text, tolerant)
  return { ips: ips.map(ip => ip.text()), mac: mac.text(), podName: podName.text() }
}

t.test('CNI_ARGS gives an address, a MAC and the name of the pod', async t => {
  t.same(values('IP=10.1.0.7;MAC=02:00:00:00:00:07;K8S_POD_NAME=web'), {
    ips: ['10.1.0.7'],
    mac: '02:00:00:00:00:07',
    podName: 'web',
  })
  t.same(values('IP=10.1.0.7,fd00::7').ips, ['10.1.0.7', 'fd00::7'])
  t.same(values(''), { ips: [], mac: undefined, podName: undefined })
})

t.test('unknown keys of CNI_ARGS are refused unless IgnoreUnknown says otherwise', async t => {
  for (const yes of ['1', 'true', 'True', 'TRUE']) {
    t.equal(values(`IgnoreUnknown=${yes};FOO=bar;IP=10.1.0.7`).ips[0], '10.1.0.7')
  }
  for (const no of ['', 'IgnoreUnknown=0;', 'IgnoreUnknown=false;', 'IgnoreUnknown=;']) {
    t.throws(() => values(`${no}FOO=bar`), { code: 'invalid-environment', message: /unknown args .*FOO=bar/ })
  }
  t.throws(() => values('IgnoreUnknown=maybe;FOO=bar'), { message: /IgnoreUnknown: "maybe"/ })
  t.doesNotThrow(() => values('GATEWAY=10.1.0.1', true), 'another plugin may know it')
})

t.test('what containerd, nerdctl and podman put in CNI_ARGS is accepted', async t => {
  const containerd = [
    'IgnoreUnknown=1',
    'K8S_POD_NAMESPACE=default',
    'K8S_POD_NAME=web',
    'K8S_POD_INFRA_CONTAINER_ID=abc',
    'K8S_POD_UID=u',
  ]
  t.equal(values(containerd.join(';')).podName, 'web')
  t.equal(values(containerd.slice(1).join(';')).podName, 'web')
  t.equal(values('IgnoreUnknown=1;NERDCTL_CNI_DHCP_HOSTNAME=web').podName, undefined)
  t.equal(values('IgnoreUnknown=1;K8S_POD_NAME=ctr;IP=10.88.0.9').ips[0], '10.88.0.9')
})

t.test('a pair of CNI_ARGS that is no pair is refused', async t => {
  for (const text of ['IP', 'IP=1=2', 'IP=10.1.0.7;', ';', 'a;b=c']) {
    t.throws(() => values(text), { code: 'invalid-environment', message: /CNI_ARGS: invalid pair "/ }, text)
  }
})

t.test('keys of CNI_ARGS are matched with their case', async t => {
  t.throws(() => values('ip=10.1.0.7'), /unknown args/)
})
