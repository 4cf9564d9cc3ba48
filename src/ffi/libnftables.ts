/**
 * libnftables: nft's language without running `nft`.
 *
 * A context belongs to the network namespace it was created in, wherever the thread is later. It holds an
 * nfnetlink socket, and closing one waits for an RCU grace period (about 15 ms) when rules were deleted a
 * moment ago; so contexts are kept, and a process that ends leaves closing to the kernel, which does not
 * make it wait.
 *
 * Source: nftables/libnftables.h, libnftables(3).
 */

import { bindLazily, openLibrary, releaseMemory } from './ffi.ts'
import { uninterrupted } from './signals.ts'

const SONAME = 'libnftables.so.1'
const NFT_CTX_DEFAULT = 0
const NFT_CTX_OUTPUT_JSON = 1 << 4
const NFT_CTX_OUTPUT_TERSE = 1 << 11

interface Functions {
  nft_ctx_new(flags: number): unknown
  nft_ctx_free(context: unknown): void
  nft_ctx_buffer_output(context: unknown): number
  nft_ctx_buffer_error(context: unknown): number
  nft_ctx_get_output_buffer(context: unknown): string | null
  nft_ctx_get_error_buffer(context: unknown): string | null
  nft_ctx_output_set_flags(context: unknown, flags: number): void
  nft_run_cmd_from_buffer(context: unknown, commands: string): number
}

const library = bindLazily<Functions>(() => openLibrary(SONAME), {
  nft_ctx_new: 'void *nft_ctx_new(uint32_t flags)',
  nft_ctx_free: 'void nft_ctx_free(void *context)',
  nft_ctx_buffer_output: 'int nft_ctx_buffer_output(void *context)',
  nft_ctx_buffer_error: 'int nft_ctx_buffer_error(void *context)',
  nft_ctx_get_output_buffer: 'const char *nft_ctx_get_output_buffer(void *context)',
  nft_ctx_get_error_buffer: 'const char *nft_ctx_get_error_buffer(void *context)',
  nft_ctx_output_set_flags: 'void nft_ctx_output_set_flags(void *context, unsigned int flags)',
  nft_run_cmd_from_buffer: 'int nft_run_cmd_from_buffer(void *context, const char *commands)',
})

/** From this many characters on, what a run leaves in the C library's heap is worth giving back. */
const LARGE = 100_000

/** What a run said. */
export interface NftResult {
  ok: boolean
  /** What list commands print. */
  output: string
  /** nft's words about a failure: `<cmdline>:1:35-44: Error: Could not process rule: File exists …` */
  error: string
}

export interface NftOptions {
  json?: boolean
  /** Lists sets without their elements. */
  terse?: boolean
}

export class NftContext implements Disposable {
  #context: unknown

  /** @throws Error where the library is missing or memory is */
  constructor() {
    this.#context = library.nft_ctx_new(NFT_CTX_DEFAULT)
    library.nft_ctx_buffer_output(this.#context)
    library.nft_ctx_buffer_error(this.#context)
  }

  /** Runs commands as one transaction. Equivalent to: nft -f - */
  run(commands: string, { json = false, terse = false }: NftOptions = {}): NftResult {
    const flags = (json ? NFT_CTX_OUTPUT_JSON : 0) | (terse ? NFT_CTX_OUTPUT_TERSE : 0)
    library.nft_ctx_output_set_flags(this.#context, flags)
    // It waits with select(2) and takes a signal, such as that of a child's end, for a failure.
    const code = uninterrupted(() => library.nft_run_cmd_from_buffer(this.#context, commands))
    const result = {
      ok: code === 0,
      output: library.nft_ctx_get_output_buffer(this.#context) ?? '',
      error: library.nft_ctx_get_error_buffer(this.#context) ?? '',
    }
    if (commands.length > LARGE) releaseMemory()
    return result
  }

  /** Closes the socket, see above. */
  [Symbol.dispose](): void {
    if (this.#context !== undefined) library.nft_ctx_free(this.#context)
    this.#context = undefined
  }
}

/** True where the library can be loaded. */
export function hasLibnftables(): boolean {
  try {
    return typeof library.nft_ctx_new === 'function'
  } catch {
    return false
  }
}
