// For Piscina and tinypool.
export default function echo(value) {
  return value;
}
