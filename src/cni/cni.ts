/** The CNI plugin: to be written. */
export {}
