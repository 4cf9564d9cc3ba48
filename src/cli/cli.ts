/** The command. */
export {}
