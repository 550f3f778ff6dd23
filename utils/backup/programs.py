"""Where the compiled programs are: beside an installed tool, or in the build folder."""
import os
import shutil

from backup.segments import BackupError


def program(name):
    here = os.path.dirname(os.path.realpath(__file__))
    build = os.environ.get("BUILD", os.path.join(here, "../../build"))
    for folder in (os.path.join(here, "../../../bin"), build):
        path = os.path.join(folder, name)
        if os.access(path, os.X_OK):
            return path
    found = shutil.which(name)
    if found is None:
        raise BackupError(f"the program {name} is neither built nor installed")
    return found
