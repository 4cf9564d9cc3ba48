import t from 'tap'
import { parseCidr, parseIp } from '../../src/model/address/address.ts'
import {
  addAddress,
  addressMessage,
  deleteAddress,
  listAddresses,
  readAddress,
  replaceAddress,
} from '../../src/netlink/address.ts'
import { MalformedError } from '../../src/netlink/codecs.ts'
import * as k from '../../src/netlink/constants.ts'
import { Netlink } from '../../src/netlink/netlink.ts'
import { asked } from '../support/asked.ts'
import { captured } from '../support/captures.ts'
import { done, part, ScriptedKernel } from '../support/scripted-kernel.ts'

const link = { index: 7, name: 'web' }
const no = {
  noDad: false,
  noPrefixRoute: false,
  tentative: false,
  dadFailed: false,
  deprecated: false,
  secondary: false,
}

t.test('addresses are read as the kernel sent them', async t => {
  t.strictSame(readAddress(captured('address-ipv4')), {
    address: '10.1.0.1/24',
    index: 2,
    broadcast: '10.1.0.255',
    label: 'br0:x',
    scope: 0,
    permanent: true,
    ...no,
  })
  t.strictSame(readAddress(captured('address-ipv6-tentative')), {
    address: '2001:db8::2/64',
    index: 3,
    scope: 0,
    permanent: true,
    ...no,
    tentative: true,
  })
  t.strictSame(readAddress(captured('address-peer')), {
    address: '10.9.0.1/32',
    index: 3,
    peer: '10.9.0.2',
    label: 'p0',
    scope: 0,
    permanent: true,
    ...no,
    noPrefixRoute: true,
  })
})

t.test('an address that somebody else has is told', async t => {
  const payload = addressMessage.encode({
    header: { family: k.AF_INET6, prefixLength: 64, index: 7, flags: k.IFA_F_TENTATIVE },
    attributes: { address: parseIp('fd00::1'), flags: k.IFA_F_TENTATIVE | k.IFA_F_DADFAILED | k.IFA_F_NODAD },
  })
  t.match(readAddress({ payload }), { tentative: true, dadFailed: true, noDad: true, permanent: false })
})

t.test('a message without an address is malformed', async t => {
  t.throws(
    () => readAddress({ payload: addressMessage.encode({ header: {}, attributes: {} }) }),
    MalformedError,
  )
})

t.test('addresses are listed by link and by family', async t => {
  const kernel = new ScriptedKernel(
    request => [part(request, captured('address-ipv4').payload), done(request)],
    request => [done(request)],
  )
  const nl = new Netlink(kernel)
  t.strictSame(
    listAddresses(nl, { link: { index: 2 }, family: 4 }).map(({ address }) => address),
    ['10.1.0.1/24'],
  )
  listAddresses(nl)
  t.match(
    kernel.requests.map(({ payload }) => addressMessage.decode(payload).header),
    [
      { family: k.AF_INET, index: 2 },
      { family: k.AF_UNSPEC, index: 0 },
    ],
  )
})

t.test('an address is added with all that it is given', async t => {
  const { type, flags, payload, command } = asked(nl =>
    addAddress(nl, link, {
      address: parseCidr('fd00::1/64'),
      scope: 253,
      noDad: true,
      noPrefixRoute: true,
      priority: 9,
    }),
  )
  t.match(
    { type, flags },
    { type: k.RTM_NEWADDR, flags: k.NLM_F_REQUEST | k.NLM_F_ACK | k.NLM_F_CREATE | k.NLM_F_EXCL },
  )
  t.strictSame(addressMessage.decode(payload), {
    header: { family: k.AF_INET6, prefixLength: 64, flags: 0, scope: 253, index: 7 },
    attributes: {
      address: 'fd00::1',
      local: 'fd00::1',
      flags: k.IFA_F_NODAD | k.IFA_F_NOPREFIXROUTE,
      priority: 9,
    },
  })
  t.equal(command, 'ip address add fd00::1/64 dev web scope 253 metric 9 nodad noprefixroute')
})

t.test('a peer has the prefix, a broadcast address and a label are IPv4', async t => {
  const { payload, command } = asked(nl =>
    replaceAddress(nl, link, {
      address: parseCidr('10.9.0.1/32'),
      peer: parseIp('10.9.0.2'),
      broadcast: parseIp('10.9.0.255'),
      label: 'web:1',
    }),
  )
  t.match(addressMessage.decode(payload).attributes, {
    address: '10.9.0.2',
    local: '10.9.0.1',
    broadcast: '10.9.0.255',
    label: 'web:1',
  })
  t.equal(command, 'ip address replace 10.9.0.1 peer 10.9.0.2/32 broadcast 10.9.0.255 dev web label web:1')
})

t.test('an address is deleted by itself, its length and its link', async t => {
  const { type, payload, command } = asked(nl =>
    deleteAddress(nl, link, { address: parseCidr('10.0.0.1/24') }),
  )
  t.equal(type, k.RTM_DELADDR)
  t.match(addressMessage.decode(payload), {
    header: { prefixLength: 24, index: 7 },
    attributes: { local: '10.0.0.1', flags: undefined },
  })
  t.equal(command, 'ip address delete 10.0.0.1/24 dev web')
})
