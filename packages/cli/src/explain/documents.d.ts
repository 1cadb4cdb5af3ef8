/** The bundle contains the documents that the program imports, as text. */
declare module "*.md" {
  const text: string
  export default text
}
