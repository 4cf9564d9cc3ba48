// Makes the page of `tsnet graph --serve` (src/graph/browser): one script and one style sheet, with all that they need.
// Where uPlot is not installed the rest of tsnet is made all the same, and `--serve` says what is lacking.

import { spawnSync } from 'node:child_process'
import { copyFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { build } from 'esbuild'

const SOURCE = 'src/graph/browser'

if (hasChart()) await makePage()
else console.warn('the page of tsnet graph --serve is left out: uplot is not installed (npm install)')

function hasChart() {
  try {
    createRequire(import.meta.url).resolve('uplot')
    return true
  } catch {
    return false
  }
}

async function makePage() {
  const { status } = spawnSync('node_modules/.bin/tsc', ['-p', SOURCE], { stdio: 'inherit' })
  if (status !== 0) process.exit(1)
  await build({
    entryPoints: { page: `${SOURCE}/browser.ts` },
    outdir: 'dist/bundle',
    bundle: true,
    minify: true,
    platform: 'browser',
    target: 'es2022',
    format: 'iife',
    legalComments: 'none',
    logLevel: 'warning',
  })
  await build({
    entryPoints: { page: `${SOURCE}/page.css` },
    outdir: 'dist/bundle',
    bundle: true,
    minify: true,
    legalComments: 'none',
    logLevel: 'warning',
  })
  copyFileSync(`${SOURCE}/page.html`, 'dist/bundle/page.html')
}
