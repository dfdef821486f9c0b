// Prints what connect-web got from the service at the address in the arguments.
import { byConnect } from "./calls.js";

console.log(await byConnect(process.argv[2]));
