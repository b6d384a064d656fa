/** A configuration of the first month, and what shows that it does what its user wants. */
export interface Configuration {
  /** In the words of who asks for it. */
  readonly title: string
  /** Path of the file as its user would write it: an example, or a file of this folder. */
  readonly file: string
  /** Talks with it over real sockets as devices do, and looks at what is stored afterwards. */
  hold(): Promise<void>
}
