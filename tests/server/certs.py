"""Certificates for tests, made by openssl's own tool: a CA, and what it signs."""
import os
import subprocess


def openssl(*args):
    subprocess.run(["openssl", *args], check=True, capture_output=True)


class Authority:
    """A CA in a folder; cert(name) returns the paths of a certificate and its key."""

    def __init__(self, folder, name="ca"):
        self.folder, self.name = folder, name
        os.makedirs(folder, exist_ok=True)
        self.file, self.key = self.path(f"{name}.crt"), self.path(f"{name}.key")
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", self.key)
        openssl("req", "-x509", "-new", "-key", self.key, "-subj", f"/CN={name}", "-days", "3", "-out", self.file)

    def path(self, name):
        return os.path.join(self.folder, name)

    def cert(self, name, names="DNS:localhost,IP:127.0.0.1"):
        key, request, cert, extra = (self.path(name + end) for end in (".key", ".csr", ".crt", ".ext"))
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                "-keyout", key, "-subj", f"/CN={name}", "-out", request)
        with open(extra, "w", encoding="ascii") as file:
            file.write(f"subjectAltName={names}\n")
        openssl("x509", "-req", "-in", request, "-CA", self.file, "-CAkey", self.key, "-CAcreateserial",
                "-days", "3", "-extfile", extra, "-out", cert)
        return cert, key
