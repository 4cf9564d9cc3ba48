/** What a command ends with, beside an error. */

/** What is wrong was the result, and has been printed as such: nothing is left to say but the exit code 1. */
export class Told extends Error {}
