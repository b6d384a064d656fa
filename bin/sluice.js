#!/usr/bin/env node
// Kept in syntax that old Node.js versions can read, so that they give a sentence and not a stack trace.
var major = Number(process.versions.node.split('.')[0])
if (major < 24) {
  process.stderr.write(
    'sluice needs Node.js 24 or newer; this is ' +
      process.version +
      '. Install a newer one from your package manager or nodejs.org.\n',
  )
  process.exit(1)
} else {
  import('node:v8')
    .then((v8) => {
      // Each read is memory outside the heap. Unless it counts for the limits of the whole heap, V8 does a full collection
      // for every 64 MiB of it: docs/decisions/0008-external-memory.md.
      v8.setFlagsFromString('--external-memory-accounted-in-global-limit')
      return import('../dist/cli/main.js')
    })
    .then((cli) => cli.main(process.argv.slice(2)))
}
