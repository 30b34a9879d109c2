"""TensorFlow graph files (``GraphDef``) without TensorFlow: as much of the format as a frozen network needs.

The format is a protocol buffer: tensorflow/core/framework/{graph,node_def,attr_value,tensor,tensor_shape}.proto.
"""
