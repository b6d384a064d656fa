import { execFile } from 'node:child_process'
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Command } from '../support/command.ts'
import { temporaryFolder } from '../support/server.ts'

const run = promisify(execFile)

/** Size of the image of a disk that loses its power, in bytes. It is a sparse file. */
const IMAGE_SIZE = 2 * 1024 ** 3

/** A file system of its own for a scenario. Unmounted and removed at the end. */
export interface Mount extends AsyncDisposable {
  readonly path: string
}

/** A small disk in memory. */
export async function mountTmpfs(bytes: number): Promise<Mount & { setWritable(writable: boolean): Promise<void> }> {
  const folder = temporaryFolder()
  await run('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', folder.path])
  return {
    path: folder.path,
    async setWritable(writable) {
      await run('mount', ['-o', `remount,${writable ? 'rw' : 'ro'}`, folder.path])
    },
    async [Symbol.asyncDispose]() {
      await run('umount', [folder.path])
      folder[Symbol.dispose]()
    },
  }
}

/**
 * A disk whose power can be cut: ext4 in a file, behind a loop device. The cut is the ioctl by which ext4 forgets from one
 * moment to the next what it has not written, its journal's last transaction too; after the next mount that is how the
 * disk of a machine without power looks. Every call to it fails until then.
 */
export class FailingDisk implements Mount {
  readonly path: string
  readonly #image: string
  readonly #remove: () => void
  #isMounted = false

  private constructor(path: string, image: string, remove: () => void) {
    this.path = path
    this.#image = image
    this.#remove = remove
  }

  static async create(): Promise<FailingDisk> {
    const folder = temporaryFolder()
    const path = join(folder.path, 'disk')
    const image = join(folder.path, 'disk.img')
    mkdirSync(path)
    writeFileSync(image, '')
    truncateSync(image, IMAGE_SIZE)
    const disk = new FailingDisk(path, image, () => folder[Symbol.dispose]())
    try {
      await run('mkfs.ext4', ['-q', '-F', image])
      await disk.#mount()
    } catch (error) {
      folder[Symbol.dispose]()
      throw error
    }
    return disk
  }

  /**
   * Gets everything ready for a power cut.
   * @returns cuts the power, at once
   */
  async prepareLoss(): Promise<() => Promise<void>> {
    const helper = new Command('python3', ['-c', SHUTDOWN, this.path])
    await helper.hear('ready')
    return async () => {
      const { code, stderr } = await helper.send('now\n').finished
      if (code !== 0) throw new Error(`the power of the disk cannot be cut: ${stderr}`)
    }
  }

  /** Mounts it again, so that ext4 recovers. Nobody may have a file on it open. */
  async recover(): Promise<void> {
    await this.#unmount()
    await this.#mount()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isMounted) await this.#unmount()
    this.#remove()
  }

  async #mount(): Promise<void> {
    await run('mount', ['-o', 'loop', this.#image, this.path])
    this.#isMounted = true
  }

  async #unmount(): Promise<void> {
    await run('umount', [this.path])
    this.#isMounted = false
  }
}

/** EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH (fs/ext4/ext4.h of Linux): nothing more is written. */
const SHUTDOWN = `
import fcntl, os, struct, sys
print("ready", flush=True)
sys.stdin.readline()
fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587D, struct.pack("I", 2))
`

/** Tries it out. @returns why there can be no small disk in memory here; undefined when there can */
export function tmpfsObstacle(): Promise<string | undefined> {
  return obstacle(async () => {
    await using _ = await mountTmpfs(1024 * 1024)
  })
}

/** Tries it out. @returns why no disk can lose its power here; undefined when one can */
export function failingDiskObstacle(): Promise<string | undefined> {
  return obstacle(async () => {
    await using disk = await FailingDisk.create()
    const losePower = await disk.prepareLoss()
    await losePower()
    await disk.recover()
  })
}

async function obstacle(attempt: () => Promise<void>): Promise<string | undefined> {
  if (process.platform !== 'linux') return 'it needs Linux'
  if (process.getuid?.() !== 0) return 'mounting needs root'
  try {
    await attempt()
    return undefined
  } catch (error) {
    const [first = ''] = String((error as { stderr?: string }).stderr || (error as Error).message).split('\n')
    return `mounting does not work here (${first})`
  }
}
