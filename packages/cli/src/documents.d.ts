/** The bundle contains the files that the program imports, as text. */
declare module "*.md" {
  const text: string
  export default text
}

declare module "*.service" {
  const text: string
  export default text
}
