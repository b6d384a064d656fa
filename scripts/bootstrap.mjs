// Runs a project command on the project's own Node.js. The npm scripts start here on whatever Node is installed, so this
// file uses nothing newer than Node 18. It installs what is missing first: packages (with their own Node 26) by `npm ci`.
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const OLDEST_FOR_INSTALL = 18
const OLDEST = 24
const PARENT_CHECK_MS = 250
const root = dirname(dirname(fileURLToPath(import.meta.url)))
const stamp = join(root, 'node_modules', '.installed')
const [command, ...rest] = process.argv.slice(2)

const commands = {
  build,
  start: async () =>
    (await build()) || node(['bin/sluice.js', 'run', '--hints', 'examples/quick-start/sluice.yaml', ...rest]),
  test: () => node(['scripts/check.ts', ...rest]),
  bench: async () => (await build()) || node(['bench/run.mjs', ...rest]),
  soak: async () => (await build()) || node(['test/faults/soak.ts', ...rest]),
  generate: () => node(['scripts/generate.ts', ...rest]),
  coverage: () => node(['scripts/coverage.ts', ...rest]),
}

const run = commands[command]
if (run === undefined) fail(`there is no command "${command}"; there are ${Object.keys(commands).join(', ')}`)
install()
process.exitCode = await run()

/** Installs the packages of the lockfile unless exactly these are installed already. */
function install() {
  if (major(process.version) < OLDEST_FOR_INSTALL) {
    fail(`installing needs Node.js ${OLDEST_FOR_INSTALL} or newer; this is ${process.version}.`)
  }
  const wanted = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex')
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return
  process.stderr.write('installing packages …\n')
  const npm = process.env.npm_execpath
  const [program, args] = npm ? [process.execPath, [npm]] : ['npm', []]
  const result = spawnSync(program, [...args, 'ci', '--loglevel=error'], { cwd: root, stdio: ['ignore', 2, 2] })
  if (result.status !== 0) fail('npm ci failed; its output is above.')
  writeFileSync(stamp, wanted)
}

function build() {
  rmSync(join(root, 'dist'), { recursive: true, force: true })
  return node(['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json'])
}

/**
 * Runs a script on the project's own Node, or on the present one where the toolchain has none for this machine.
 * Resolves to its exit code.
 */
function node(args) {
  const own = join(root, 'node_modules', '.bin', 'node')
  const program = existsSync(own) ? own : process.execPath
  if (program === process.execPath && major(process.version) < OLDEST) {
    fail(
      `Sluice needs Node.js ${OLDEST} or newer; this is ${process.version}, and there is none to install for ${process.platform} ${process.arch}.`,
    )
  }
  const child = spawn(program, args, { cwd: root, stdio: 'inherit' })
  let ending = false
  const terminate = () => {
    // The server takes a second one as "at once".
    if (!ending) child.kill('SIGTERM')
    ending = true
  }
  // Ctrl-C reaches the child from the terminal; it has to end in its own time, and this process with it.
  const wait = () => undefined
  process.on('SIGTERM', terminate).on('SIGINT', wait)
  // A signal to npm ends npm and its shell and comes no further; without this, the server would go on alone.
  const parent = process.ppid
  const watch = setInterval(() => process.ppid !== parent && terminate(), PARENT_CHECK_MS)
  return new Promise((resolve) => {
    child.on('error', (error) => fail(`${program} cannot be started: ${error.message}`))
    child.on('close', (code) => {
      process.off('SIGTERM', terminate).off('SIGINT', wait)
      clearInterval(watch)
      resolve(code ?? 1)
    })
  })
}

function major(version) {
  return Number(version.slice(1).split('.')[0])
}

function fail(sentence) {
  process.stderr.write(`${sentence}\n`)
  process.exit(1)
}
