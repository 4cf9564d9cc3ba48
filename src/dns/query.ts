/** What a client asks, out of the bytes that it sent: RFC 1035, 4.1; EDNS: RFC 6891. */

import {
  asked,
  flag,
  flagsOf,
  HEADER,
  idOf,
  type Question,
  questionCountOf,
  readMessage,
  type,
} from './walk.ts'

export interface Query {
  id: number
  /** Those flags of the query that are the answer's too: its opcode, RD and CD. */
  echoed: number
  question: Question
  /** The question as it was sent, which is how it has to come back. */
  questionBytes: Uint8Array
  edns?: { size: number; version: number; wantsDnssec: boolean }
}

/** What cannot be answered otherwise. */
export interface Refused {
  id: number
  echoed: number
  rcode: number
}

export const rcode = { noError: 0, formErr: 1, servFail: 2, nxDomain: 3, notImp: 4, refused: 5, badVers: 16 }

const DNSSEC_OK = 0x8000

/** @returns undefined for what gets no answer: less than a header, or an answer, which would make two servers talk */
export function readQuery(bytes: Uint8Array): Query | Refused | undefined {
  if (bytes.length < HEADER) return undefined
  const flags = flagsOf(bytes)
  if ((flags & flag.response) !== 0) return undefined
  const [id, echoed] = [idOf(bytes), flags & (flag.opcode | asked.recursion | asked.unchecked)]
  if ((flags & flag.opcode) !== 0) return { id, echoed, rcode: rcode.notImp }
  const message = questionCountOf(bytes) === 1 ? readMessage(bytes) : undefined
  const options = message?.records.filter(record => record.type === type.OPT) ?? []
  if (message === undefined || options.length > 1) return { id, echoed, rcode: rcode.formErr }
  const { question } = message
  const [option] = options
  return {
    id,
    echoed,
    question,
    // A copy: what was received may lie in a buffer that is used again.
    questionBytes: new Uint8Array(bytes.subarray(question.start, question.end)),
    ...(option !== undefined && {
      edns: {
        size: option.class,
        version: Math.floor(option.ttl / 0x10000) & 0xff,
        wantsDnssec: (option.ttl & DNSSEC_OK) !== 0,
      },
    }),
  }
}

export const isRefused = (read: Query | Refused): read is Refused => 'rcode' in read
