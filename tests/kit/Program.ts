/** The command `restream`, as npm links it: it runs what `npm run build` made. */
export const program = new URL("../../packages/cli/bin/restream.js", import.meta.url).pathname
