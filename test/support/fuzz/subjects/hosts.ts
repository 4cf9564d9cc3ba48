/** What etcd says, and what others may have written there. */

import { deepEqual, equal, ok } from 'node:assert/strict'
import { readHostsOf } from '../../../../src/cni/config/hosts.ts'
import { EtcdRefusal, understood } from '../../../../src/hosts/etcd/exchange.ts'
import {
  readAge,
  readGranted,
  readKeptAlive,
  readRange,
  readWatched,
} from '../../../../src/hosts/etcd/messages.ts'
import { claimText, drop, emptyView, keysOf, layoutText, take, wordText } from '../../../../src/hosts/keys.ts'
import { Members } from '../../../../src/hosts/members.ts'
import { keyParts, nameKeysOf, nameText, readNameWord } from '../../../../src/hosts/names/words.ts'
import { parseCidr, parseIp } from '../../../../src/model/address/address.ts'
import { isHostName } from '../../../../src/model/address/host-name.ts'
import { TsnetError } from '../../../../src/model/errors.ts'
import { roomOf } from '../../../../src/model/hosts/hosts.ts'
import { parseJson } from '../../../../src/model/json/json.ts'
import { ofDocument } from '../documents.ts'
import { subjects } from '../fuzz.ts'
import { ofText } from '../texts.ts'

const refusals = [TsnetError]
const header = { cluster_id: '9', revision: '7' }
const kv = { key: 'L2E=', value: 'Yg==', mod_revision: '6', lease: '7587869876980' }

const pools = [{ subnet: parseCidr('10.200.0.0/16'), hostPrefix: 24 }]
const keys = keysOf('/tsnet', 'front')
const ID = '0000000000000001'
const WORD = wordText({
  name: 'a',
  addresses: [parseIp('10.0.0.1')],
  mac: '06:00:00:00:00:01',
  number: 7,
  instance: 'x',
})
const NAME = nameText({ container: '0123456789ab', names: ['web'], addresses: [parseIp('10.200.7.5')] })
const nameKeys = nameKeysOf('/tsnet', 'front')
const HOSTS = {
  engine: 'etcd',
  endpoints: ['https://10.0.0.1:2379'],
  subnet: '10.200.0.0/16',
  subnet6: 'fd00::/48',
  carrier: 'vxlan',
  routesKept: '1h',
}

/** One value under each of the kinds of keys, with a host that is whole but for it. */
function standing(value: string) {
  const view = emptyView('1', 1)
  const all = [keys.layout, keys.claim(7), keys.host(ID), `${keys.all}${value}`]
  for (const key of all) {
    take(view, keys, { key: keys.claim(7), value: claimText(ID), revision: 1 })
    take(view, keys, { key: keys.host(ID), value: WORD, revision: 1 })
    take(view, keys, { key, value, revision: 1 })
    for (const { number, addresses, mac } of new Members(pools).read(view, 0).come) {
      ok(number < roomOf(pools) && addresses.length > 0)
      for (const address of addresses) equal(parseIp(address), address)
      ok(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(mac))
    }
    drop(view, keys, key)
  }
  return view
}

export const ofHosts = subjects(
  ofDocument('hosts/answers', {
    samples: [
      { header, kvs: [kv], count: '1' },
      { header, ID: '2324035716055825670', TTL: '5', grantedTTL: '5' },
      { result: { header, ID: '1', TTL: '5' } },
      { result: { header, events: [{ kv }, { type: 'DELETE', kv }] } },
      { result: { header, canceled: true, compact_revision: '9' } },
      { error: { grpc_code: 14, message: 'no leader' } },
    ],
    refusals,
    read: text => {
      const value = parseJson(text, 'it').object()
      for (const read of [readRange, readGranted, readKeptAlive, readAge, readWatched]) {
        try {
          read(value)
        } catch (thrown) {
          if (!(thrown instanceof TsnetError)) throw thrown
        }
      }
    },
  }),
  ofText('hosts/refusals', {
    samples: ['{"error":"no","message":"no","code":5}', '<html>', '', 'CommonName of client sending'],
    refusals: [TsnetError, EtcdRefusal],
    read: text => understood('etcd', 400, text),
  }),
  ofText('hosts/keys', {
    samples: [WORD, claimText(ID), layoutText({ pools, carrier: 'vxlan', port: 4789 })],
    refusals,
    read: standing,
  }),
  ofText('hosts/names', {
    samples: [NAME, `${ID}/0123456789abcdef`, `${ID}/drained`],
    refusals,
    read: text => {
      const parts = keyParts(nameKeys, `${nameKeys.all}${text}`)
      ok(parts === undefined || parts.host.length === 16)
      const word = readNameWord(text, 'key')
      if (typeof word === 'string') return word
      for (const name of word.names) ok(isHostName(name) && name === name.toLowerCase())
      for (const address of word.addresses) equal(parseIp(address), address)
      deepEqual(readNameWord(nameText(word), 'key'), word)
      return nameText(word)
    },
  }),
  ofDocument('hosts/config', {
    samples: [HOSTS],
    refusals,
    read: text => readHostsOf({ bridge: 'front0', isGateway: true, hosts: parseJson(text, 'it').value }),
  }),
)
