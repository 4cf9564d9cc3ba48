import t from 'tap'
import { Json } from '../../../src/model/json/json.ts'
import { readCidr, readIp, readIpOrCidr, readMac } from '../../../src/model/json/values.ts'

const json = (value: unknown) => new Json(value, 'runtimeConfig.mac')

t.test('a MAC address is printed anew from each of its notations', async t => {
  for (const text of ['02:42:AC:11:00:02', '02-42-ac-11-00-02', '0242.ac11.0002']) {
    t.equal(readMac(json(text)), '02:42:ac:11:00:02')
  }
  t.equal(readMac(json('')), undefined)
  t.equal(readMac(json(null)), undefined)
})

t.test('what is no MAC address of one interface is refused with its value', async t => {
  const bad = [
    '02:42:ac:11:00',
    '02:42:ac:11:00:02:03:04',
    '02:42-ac:11:00:02',
    '0242ac110002',
    '02:42:ac:11:00:0g',
    'ff:ff:ff:ff:ff:ff',
    '01:00:5e:00:00:01',
    '00:00:00:00:00:00',
    '02:42:ac:11:00:02\n',
  ]
  for (const text of bad) {
    t.throws(() => readMac(json(text)), { code: 'invalid-config', message: /^runtimeConfig\.mac: "/ }, text)
  }
  t.throws(() => readMac(json(5)), /5 is not a string/)
})

t.test('an address is printed in its canonical form, a mapped one as IPv4', async t => {
  t.equal(readIp(json('2001:DB8::0:1')), '2001:db8::1')
  t.equal(readIp(json('::ffff:192.0.2.1')), '192.0.2.1')
  t.equal(readIpOrCidr(json('10.1.0.7/16')), '10.1.0.7')
  t.equal(readIpOrCidr(json('10.1.0.7')), '10.1.0.7')
  t.equal(readCidr(json('FD00::7/64')), 'fd00::7/64')
  for (const read of [readIp, readIpOrCidr, readCidr]) t.equal(read(json('')), undefined)
})

t.test('what is no address is refused with its value', async t => {
  const bad = [
    'x',
    '10.1.0',
    '10.1.0.256',
    '010.1.0.1',
    '10.1.0.7/33',
    '10.1.0.7/',
    '/16',
    'fe80::1%eth0',
    '10.1.0.7/16/1',
  ]
  for (const text of bad) {
    t.throws(() => readIpOrCidr(json(text)), {
      code: 'invalid-config',
      message: new RegExp(`^runtimeConfig.mac: "${text}" is not an`),
    })
    t.throws(() => readCidr(json(text)), {
      code: 'invalid-config',
      message: /^runtimeConfig\.mac: ".*" is not an/,
    })
  }
  t.throws(() => readIp(json('10.1.0.7/16')), /"10.1.0.7\/16" is not an IP address/)
})
