/** The tarball of `npm pack`, installed as a user would: as a global command, and in projects of both languages. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { findOldNode, run } from '../support/command.ts'
import { exampleFile } from '../support/example.ts'
import { temporaryFolder } from '../support/server.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const { version, devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const oldNode = await findOldNode()
const folder = temporaryFolder()
const globalPrefix = join(folder.path, 'global')
/** npm and the installed command run on the Node that the tests run on. */
const env = { PATH: [dirname(process.execPath), process.env['PATH']].join(delimiter) }
let tarball: string
let files: readonly string[]

beforeAll(async () => {
  expect(existsSync(join(root, 'dist')), 'dist/ is missing: npm run build makes it').toBe(true)
  // Scripts would build again, under the feet of the other tests.
  const packed = await npm(['pack', '--ignore-scripts', '--json', '--pack-destination', folder.path], root)
  const [about] = Object.values(JSON.parse(packed)) as [{ filename: string; files: { path: string }[] }]
  tarball = join(folder.path, about.filename)
  files = about.files.map(({ path }) => path)
})
afterAll(() => folder[Symbol.dispose]())

/** npm installs, which takes half a minute each on a machine that is busy. */
const TIMEOUT = 300_000

describe('the package', { timeout: TIMEOUT }, () => {
  it('holds what it should and nothing else', () => {
    expect(files).toEqual(
      expect.arrayContaining(['README.md', 'CHANGELOG.md', 'LICENSE', 'bin/sluice.js', 'schema/sluice.schema.json']),
    )
    expect(files).toEqual(expect.arrayContaining(['dist/index.js', 'dist/index.d.ts', 'dist/testing/index.js']))
    expect(files).toEqual(expect.arrayContaining(['dist/storage/worker.js', 'dist/cli/main.js']))
    const expected =
      /^((README|CHANGELOG)\.md|LICENSE|package\.json|bin\/sluice\.js|schema\/.+\.json|templates\/[a-z0-9]+\/(README\.md|sluice(\.test)?\.yaml)|packaging\/sluice\.(service|socket)|dist\/.+(\.js|\.d\.ts))$/
    expect(
      files.filter((file) => !expected.test(file) || (file.includes('.test.') && !file.startsWith('templates/'))),
    ).toEqual([])
  })

  it('is a global command', async () => {
    await install(['--global', '--prefix', globalPrefix, tarball], folder.path)
    const command = join(globalPrefix, 'bin/sluice')
    expect(await run(command, ['--version'], { env })).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' })
    const { code, stdout, stderr } = await run(command, ['check', exampleFile('barcode-scanner')], { env })
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toContain('is valid')
  })

  it.skipIf(oldNode === undefined)('says in one sentence that a Node is too old', async () => {
    const command = join(globalPrefix, 'bin/sluice')
    const { code, stdout, stderr } = await run(command, ['--version'], { env: { PATH: dirname(oldNode!) } })
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toMatch(/^sluice needs Node\.js 24 or newer; this is v\S+\. .*\n$/)
  })

  it('is a library for JavaScript, with its worker threads and without its command line', async () => {
    const project = createProject('javascript', {
      'upper.js': 'export default (msg) => msg.toUpperCase()\n',
      'main.js': `
import { registerHooks } from 'node:module'

const loaded = []
registerHooks({
  load(url, context, next) {
    loaded.push(url)
    return next(url, context)
  },
})
const { connect, createServer } = await import('sluice')
const unwanted = loaded.filter((url) => /dist\\/(cli|admin|observe|testing)\\/|commander|pino|prom-client/.test(url))
console.log(loaded.length > 0, unwanted)

const server = createServer({
  listen: {
    echo: {
      host: '127.0.0.1',
      port: 0,
      dataflow: [
        { script: './upper.js' },
        { sqlite: { file: 'lines.db', table: 'lines', columns: { text: 'msg' } } },
        { reply: 'stored \${msg}' },
      ],
    },
  },
})
await server.start()
const client = await connect({ host: '127.0.0.1', port: server.address('echo').port })
console.log(await client.request('hello'))
await client.close()
await server.stop()
`,
    })
    await install([tarball], project)
    const result = await run(process.execPath, ['main.js'], { cwd: project })
    expect(result).toEqual({ code: 0, stdout: 'true []\nstored HELLO\n', stderr: '' })
    expect(existsSync(join(project, 'lines.db'))).toBe(true)
  })

  it('is a library for TypeScript: strict, with the type of msg along the chain, and with sluice/testing', async () => {
    const project = createProject('typescript', {
      'tsconfig.json': JSON.stringify({
        compilerOptions: {
          target: 'esnext',
          module: 'nodenext',
          types: ['node'],
          strict: true,
          exactOptionalPropertyTypes: true,
          skipLibCheck: false,
          noEmit: true,
        },
      }),
      'main.ts': `
import { connect, createRegistry, createServer, defineStep, format, listen, z } from 'sluice'
import { runExample, stepSuite } from 'sluice/testing'

interface Reading {
  device: string
  temp: number
}

const shout = defineStep({
  name: 'shout',
  summary: 'Makes a text louder.',
  options: z.strictObject({}),
  examples: [{ title: 'A word', config: { shout: {} }, given: ['a'], gives: ['A'] }],
  create: () => ({ run: (message) => message.with(String(message.msg).toUpperCase()) }),
})
const registry = createRegistry()
registry.add(shout)
for (const check of stepSuite(shout, { runExample: (example) => runExample(example, registry) })) await check.run()

await using server = createServer({
  listen: {
    scales: listen({
      host: '127.0.0.1',
      port: 0,
      format: format.json<Reading>(),
      dataflow: (flow) =>
        flow
          .filter((msg) => msg.temp > 30)
          // @ts-expect-error there is no such field
          .filter((msg) => msg.weight !== 0)
          .map((msg) => ({ name: msg.device, f: (msg.temp * 9) / 5 + 32 }))
          .reply((msg) => \`OK \${msg.name} \${msg.f.toFixed(1)}\`),
    }),
  },
})
await server.start()
const { port } = server.address('scales')!
await using scale = await connect({
  host: '127.0.0.1',
  port,
  format: { in: format.text(), out: format.json<Reading>() },
})
const answer: string = await scale.request({ device: 'scale-7', temp: 35 })
console.log(answer)
`,
    })
    await install([tarball, `@types/node@${devDependencies['@types/node']}`], project)
    const tsc = join(root, 'node_modules/typescript/bin/tsc')
    expect(await run(process.execPath, [tsc, '-p', project])).toEqual({ code: 0, stdout: '', stderr: '' })
    const result = await run(process.execPath, ['main.ts'], { cwd: project })
    expect(result).toEqual({ code: 0, stdout: 'OK scale-7 95.0\n', stderr: '' })
  })
})

function createProject(name: string, sources: Readonly<Record<string, string>>): string {
  const project = join(folder.path, name)
  mkdirSync(project)
  const manifest = JSON.stringify({ name, private: true, type: 'module' })
  for (const [file, text] of Object.entries({ ...sources, 'package.json': manifest })) {
    writeFileSync(join(project, file), text)
  }
  return project
}

function install(args: readonly string[], cwd: string): Promise<string> {
  return npm(['install', '--prefer-offline', '--no-audit', '--no-fund', ...args], cwd)
}

async function npm(args: readonly string[], cwd: string): Promise<string> {
  const { stdout, stderr, code } = await run('npm', args, { cwd, env })
  if (code !== 0) throw new Error(`npm ${args.join(' ')} failed:\n${stderr}`)
  return stdout
}
