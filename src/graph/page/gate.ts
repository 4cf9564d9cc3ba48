/** Who may ask for what: every request is looked at before anything is done for it. */

import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'

const TOKEN_BYTES = 32

/** 256 bits, in letters that an address may have. */
export const newToken = (): string => randomBytes(TOKEN_BYTES).toString('base64url')

/**
 * Of every answer. The page loads its own files and nothing else, and is in no frame; nobody keeps a copy, nor the address
 * with its token.
 */
export const HEADERS: Readonly<Record<string, string>> = {
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'Content-Type': 'text/plain; charset=utf-8',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'Cache-Control': 'no-store',
}

export interface Refusal {
  status: number
  why: string
  headers?: Record<string, string>
}

/** Names of this host that nobody else can make lead here; another port may be that of a tunnel. */
const LOOPBACK = /^(?:127\.0\.0\.1|localhost|\[::1\])(?::\d{1,5})?$/

export class Gate {
  readonly #token: Buffer

  constructor(token: string) {
    this.#token = digest(token)
  }

  /** @returns the path behind the token */
  judge({
    method,
    url = '',
    headers,
  }: Pick<IncomingMessage, 'method' | 'url' | 'headers'>): { path: string } | Refusal {
    if (!LOOPBACK.test(headers.host ?? ''))
      return { status: 421, why: 'this is reached by 127.0.0.1 or localhost alone' }
    if (method !== 'GET')
      return { status: 405, why: 'there is nothing to change here', headers: { Allow: 'GET' } }
    const [, token = '', path] = /^\/([^/?#]*)\/([^?#]*)$/.exec(url) ?? []
    if (!timingSafeEqual(digest(token), this.#token) || path === undefined)
      return { status: 403, why: 'the address has a token, which was printed' }
    return { path }
  }
}

/** Of one length, whatever somebody sends: how long it takes to compare tells nothing. */
const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
