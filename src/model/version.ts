/** The version of package.json, where it can be had without reading a file. */
export const VERSION = '0.1.0'
