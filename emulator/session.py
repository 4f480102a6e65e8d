"""x"""
from emulator.sql.spark import open_spark as open_spark
