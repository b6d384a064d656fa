// Runs a project command on the project's own Node.js. The npm scripts start here on whatever Node is installed, so this
// file uses nothing newer than Node 18. It installs what is missing first: packages (with their own Node 26) by `npm ci`.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const OLDEST_FOR_INSTALL = 18
const OLDEST = 24
const root = dirname(dirname(fileURLToPath(import.meta.url)))
const stamp = join(root, 'node_modules', '.installed')
const [command, ...rest] = process.argv.slice(2)

const commands = {
  build: () => build(),
  start: () => build() || node(['bin/sluice.js', 'run', '--hints', 'examples/quick-start/sluice.yaml', ...rest]),
  test: () => node(['scripts/check.ts', ...rest]),
  bench: () => build() || node(['bench/run.mjs', ...rest]),
  generate: () => node(['scripts/generate.ts', ...rest]),
}

const run = commands[command]
if (run === undefined) fail(`there is no command "${command}"; there are ${Object.keys(commands).join(', ')}`)
install()
process.exitCode = run()

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

/** Runs a script on the project's own Node, or on the present one where the toolchain has none for this machine. */
function node(args) {
  const own = join(root, 'node_modules', '.bin', 'node')
  const program = existsSync(own) ? own : process.execPath
  if (program === process.execPath && major(process.version) < OLDEST) {
    fail(
      `Sluice needs Node.js ${OLDEST} or newer; this is ${process.version}, and there is none to install for ${process.platform} ${process.arch}.`,
    )
  }
  const result = spawnSync(program, args, { cwd: root, stdio: 'inherit' })
  return result.signal === null ? result.status : 1
}

function major(version) {
  return Number(version.slice(1).split('.')[0])
}

function fail(sentence) {
  process.stderr.write(`${sentence}\n`)
  process.exit(1)
}
