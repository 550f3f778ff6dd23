"""Row S8 of the promises: what a client waits for while the cleaner works."""
import os
import random
import re
import shutil
import socket
import statistics
import struct
import tempfile
import time
import zlib

from common import BUILD, ROUNDS, Process, load  # noqa: F401
