const { exec } = require("child_process");

function run(name, done) {
  exec("ls " + name, done);
}

function stop(code) {
  process.exit(code);
}

module.exports = { run, stop };
